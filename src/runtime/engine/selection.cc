#include "runtime/engine/selection.h"

#include <algorithm>

#include "core/check.h"
#include "runtime/engine/bank_probes.h"

namespace tca::runtime {
namespace {

HeadShares shares_of(const ProfileBudget& budget) {
  HeadShares shares;
  for (const std::vector<HeadProfile>& heads : budget.layers) {
    std::vector<BlockShares>& keep = shares.keep.emplace_back();
    std::vector<BlockShares>& attend = shares.attend.emplace_back();
    for (const HeadProfile& head : heads) {
      keep.push_back(head.keep);
      attend.push_back(head.attended());
    }
  }
  return shares;
}

double mean_share(const LayerShares& layers) {
  double sum = 0, count = 0;
  for (const std::vector<BlockShares>& heads : layers) {
    for (const BlockShares& shares : heads) {
      sum += shares.kept_share();
      ++count;
    }
  }
  return sum / count;
}

class ProbedTokens : public SegmentChooser {
 public:
  ProbedTokens(const SegmentStart& start, const SelectionRule& rule, const QueryBank* bank)
      : backend_(start.backend), rule_(rule) {
    if (bank == nullptr) return;
    bank_.emplace(*bank, start.model, start.first_position + start.num_tokens - 1 + bank->distance, start.long_context,
                  start.dtype, start.memory, start.pool);
  }

  KeptSet choose(const SegmentLayer& layer) const override {
    const bool by_bank = bank_ && !layer.for_attention;
    const std::int64_t probes = std::min<std::int64_t>(rule_.probe_queries, layer.k.num_tokens);
    return backend_.select(
        {.q = by_bank ? bank_->queries(layer.layer) : layer.q.tokens(layer.q.num_tokens - probes, probes),
         .k = layer.k,
         .past = layer.past,
         .shares = layer.shares,
         .rule = rule_,
         .probes_follow = by_bank,
         .reduce = by_bank ? bank_->reduce() : ProbeReduce::kMean,
         .windows = layer.windows});
  }

 private:
  const Backend& backend_;
  SelectionRule rule_;
  std::optional<BankProbes> bank_;
};

}  // namespace

Selection::Selection(const Profile& profile, double keep, const std::optional<double>& attend,
                     const std::string& objective, const std::optional<double>& tolerance)
    : profile_(&profile), keep_(keep) {
  const std::string name = objective.empty() ? profile.usual_objective() : objective;
  if (name == kAnswerRisk && profile.answer_risk) {
    answers_ = &*profile.answer_risk;
    rule_ = answers_->rule;
    check_argument(!attend || answers_->attend, "attend is ", attend.value_or(0),
                   ", but the profile has no curves for it; calibrate the model anew");
    attend_ = attend;
    attended_share_ = attend.value_or(1);
    max_loss_ = tolerance.value_or(max_loss_);
    return;
  }
  check_argument(tolerance.value_or(0) <= 1, "tolerance is ", tolerance.value_or(0), "; with the objective ", name,
                 " it is a dropped attention mass, at most 1");
  check_argument(!attend, "attend is ", attend.value_or(0), "; only the objective ", kAnswerRisk, " takes one, not ",
                 name);
  budget_ = &profile.pick(keep, name);
  rule_ = profile.rule_of(*budget_);
  attended_share_ = mean_share(shares_of(*budget_).attend);
}

HeadShares Selection::shares(std::int64_t num_tokens) const {
  if (budget_ != nullptr) return shares_of(*budget_);
  const std::int64_t tokens = std::max<std::int64_t>(1, num_tokens);
  SegmentAllocation keep = allocate(answers_->keep, rule_, keep_, tokens, max_loss_);
  HeadShares shares{
      .keep = std::move(keep.shares), .attend = {}, .windows = std::move(keep.windows), .predicted_loss = keep.risk};
  if (attend_) shares.attend = allocate(*answers_->attend, rule_, *attend_, tokens).shares;
  return shares;
}

BlockShares Selection::richer(const BlockShares& current, std::int32_t layer, std::int32_t kv_head) const {
  return budget_ == nullptr ? current : profile_->richer(current, layer, kv_head, budget_->objective);
}

std::unique_ptr<SegmentChooser> Selection::begin(const SegmentStart& start) const {
  return std::make_unique<ProbedTokens>(start, rule_, answers_ == nullptr ? nullptr : &answers_->bank);
}

}  // namespace tca::runtime
