// DuoAttention: Xiao et al., arXiv 2410.10819 (mit-han-lab/duo-attention; kvpress: DuoAttentionPress), with a profile
// in place of trained gates.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "evaluation/methods/published.h"

namespace tca::evaluation {
namespace {

constexpr std::int64_t kSinks = 128, kRecent = 256;  // as DuoAttention's patterns were trained

std::int64_t tokens_of(const MethodLayer& at, double share) {
  return std::llround(share * static_cast<double>(at.num_tokens()));
}

}  // namespace

TokenScores duo_scores(double share) {
  return {.of = [share](const MethodLayer& at) {
    const std::int64_t n = at.num_tokens();
    const std::int64_t sinks = at.begins_sequence() ? std::min(kSinks, tokens_of(at, share) / 3) : 0;
    std::vector<float> scores;
    for (std::int32_t h = 0; h < at.num_kv_heads(); ++h) {
      for (std::int64_t j = 0; j < n; ++j) {
        scores.push_back(j < sinks ? std::numeric_limits<float>::infinity() : static_cast<float>(j));
      }
    }
    return scores;
  }};
}

std::vector<double> head_richness(const Profile& profile) {
  std::vector<double> richness;
  if (profile.answer_risk) {
    const RiskCurves& curves = profile.answer_risk->keep;
    for (const auto& layer : curves.heads) {
      for (const std::vector<double>& risk : layer) richness.push_back(risk[risk.size() - curves.shares.size()]);
    }
    return richness;
  }
  const std::string objective = profile.pick(1).objective;
  richness.resize(static_cast<std::size_t>(profile.model.num_layers * profile.model.num_kv_heads));
  for (const ProfileBudget& budget : profile.budgets) {
    if (budget.objective != objective) continue;
    auto head = richness.begin();
    for (const auto& layer : budget.layers) {
      for (const HeadProfile& configuration : layer) *head++ += configuration.keep.kept_share();
    }
  }
  return richness;
}

TokenBudgets duo_budgets(double share, const std::vector<double>& richness) {
  std::vector<std::size_t> order(richness.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return richness[a] > richness[b]; });
  return [share, order](const MethodLayer& at, std::span<const float> /*scores*/) {
    const std::int64_t even = tokens_of(at, share), streaming = std::min(kSinks + kRecent, even);
    std::int64_t left = std::ssize(order) * (even - streaming);
    std::vector<std::int64_t> all(order.size(), streaming);
    for (const std::size_t head : order) {
      const std::int64_t more = std::min(left, at.num_tokens() - streaming);
      all[head] += more;
      left -= more;
    }
    const auto own = all.begin() + std::int64_t{at.layer.layer} * at.num_kv_heads();
    return std::vector<std::int64_t>(own, own + at.num_kv_heads());
  };
}

}  // namespace tca::evaluation
