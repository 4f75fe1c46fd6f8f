#include "runtime/engine/selection.h"

#include <algorithm>

#include "core/check.h"

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

}  // namespace

Selection::Selection(const Profile& profile, double keep, const std::optional<double>& attend,
                     const std::string& objective)
    : keep_(keep) {
  const std::string name = objective.empty() ? profile.usual_objective() : objective;
  profile_ = &profile;
  if (name == kAnswerRisk && profile.answer_risk) {
    answers_ = &*profile.answer_risk;
    rule_ = answers_->rule;
    check_argument(!attend || answers_->attend, "attend is ", attend.value_or(0),
                   ", but the profile has no curves for it; calibrate the model anew");
    attend_ = attend;
    attended_share_ = attend.value_or(1);
    return;
  }
  check_argument(!attend, "attend is ", attend.value_or(0), "; only the objective ", kAnswerRisk, " takes one, not ",
                 name);
  budget_ = &profile.pick(keep, name);
  rule_ = profile.rule_of(*budget_);
  attended_share_ = mean_share(shares_of(*budget_).attend);
}

HeadShares Selection::shares(std::int64_t num_tokens) const {
  if (budget_ != nullptr) return shares_of(*budget_);
  if (answers_ == nullptr) return {};
  const std::int64_t tokens = std::max<std::int64_t>(1, num_tokens);
  SegmentAllocation keep = allocate(answers_->keep, rule_, keep_, tokens);
  HeadShares shares{.keep = std::move(keep.shares), .attend = {}, .windows = std::move(keep.windows)};
  if (attend_) shares.attend = allocate(*answers_->attend, rule_, *attend_, tokens).shares;
  return shares;
}

BlockShares Selection::richer(const BlockShares& current, std::int32_t layer, std::int32_t kv_head) const {
  if (budget_ != nullptr) return profile_->richer(current, layer, kv_head, budget_->objective);
  BlockShares next = current;
  next.share.back() = std::min(1.0, std::max(2 * current.kept_share(), 1.0 / 64));
  next.share.front() = 1 - next.share.back();
  return next;
}

}  // namespace tca::runtime
