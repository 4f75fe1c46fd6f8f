#include "evaluation/methods/scored_tokens.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tca::evaluation {
namespace {

class BestTokens : public runtime::SegmentChooser {
 public:
  BestTokens(const runtime::SegmentStart& segment, const TokenScores& scores, const TokenBudgets& budgets)
      : segment_(segment), scores_(scores), budgets_(budgets) {}

  KeptSet choose(const runtime::SegmentLayer& layer) const override {
    const MethodLayer at{segment_, layer};
    std::vector<float> scores = scores_.of(at);
    std::replace_if(
        scores.begin(), scores.end(), [](float score) { return std::isnan(score); }, 0.0f);
    return best_tokens(scores, budgets_(at, scores), at.num_tokens());
  }

 private:
  runtime::SegmentStart segment_;
  const TokenScores& scores_;
  const TokenBudgets& budgets_;
};

}  // namespace

ScoredTokens::ScoredTokens(std::string name, const ModelFingerprint& model, TokenScores scores, TokenBudgets budgets)
    : name_(std::move(name)),
      num_layers_(static_cast<std::size_t>(model.num_layers)),
      num_kv_heads_(static_cast<std::size_t>(model.num_kv_heads)),
      rule_{.window = kObservedTokens, .sinks = 0, .probe_queries = kObservedTokens, .order = BlockOrder::kTokens},
      scores_(std::move(scores)),
      budgets_(std::move(budgets)) {}

/// Full, which leaves decoded tails alone; windows of none, because the chosen sets hold all that is stored.
runtime::HeadShares ScoredTokens::shares(std::int64_t /*num_tokens*/) const {
  return {.keep = {num_layers_, {num_kv_heads_, BlockShares::full(rule_.block_size)}},
          .attend = {},
          .windows = {num_layers_, std::vector<std::int32_t>(num_kv_heads_, 0)}};
}

std::int64_t ScoredTokens::queries(std::int64_t num_tokens) const {
  return scores_.all_queries ? num_tokens : std::min<std::int64_t>(num_tokens, kObservedTokens);
}

std::unique_ptr<runtime::SegmentChooser> ScoredTokens::begin(const runtime::SegmentStart& start) const {
  return std::make_unique<BestTokens>(start, scores_, budgets_);
}

KeptSet best_tokens(std::span<const float> scores, std::span<const std::int64_t> budgets, std::int64_t num_tokens) {
  std::vector<std::int64_t> offsets = {0};
  std::vector<std::int32_t> positions, order(static_cast<std::size_t>(num_tokens));
  for (std::size_t h = 0; h < budgets.size(); ++h) {
    const auto head = scores.subspan(h * order.size(), order.size());
    const auto score = [&](std::int32_t token) { return head[static_cast<std::size_t>(token)]; };
    std::iota(order.begin(), order.end(), 0);
    const auto end = order.begin() + budgets[h];
    std::nth_element(order.begin(), end, order.end(), [&](std::int32_t a, std::int32_t b) {
      return score(a) != score(b) ? score(a) > score(b) : a < b;
    });
    std::sort(order.begin(), end);
    positions.insert(positions.end(), order.begin(), end);
    offsets.push_back(std::ssize(positions));
  }
  return {num_tokens, std::move(offsets), std::move(positions)};
}

}  // namespace tca::evaluation
