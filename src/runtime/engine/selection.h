// The selector of a profile: from its budgets, or from its curves for the length at hand.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "runtime/engine/selector.h"
#include "tca/profile.h"

namespace tca::runtime {

/// One objective of a profile at one share to keep. The profile must outlive it.
class Selection : public Selector {
 public:
  /// tolerance (optional): with curves, keep more than `keep` where an answer's margin is expected to lose more nats.
  /// Throws kInvalidArgument when the profile lacks the objective.
  Selection(const Profile& profile, double keep, const std::optional<double>& attend, const std::string& objective,
            const std::optional<double>& tolerance = std::nullopt);

  std::string name() const override { return budget_ == nullptr ? kAnswerRisk : budget_->objective; }
  const SelectionRule& rule() const override { return rule_; }
  HeadShares shares(std::int64_t num_tokens) const override;
  bool shares_by_length() const override { return answers_ != nullptr; }
  bool attends_all() const override { return answers_ != nullptr && !attend_; }
  double attended_share() const override { return attended_share_; }
  bool predicts_loss() const override { return answers_ != nullptr; }
  BlockShares richer(const BlockShares& current, std::int32_t layer, std::int32_t kv_head) const override;
  /// By the bank's queries where the profile has one, for attention and without one by the segment's last.
  std::unique_ptr<SegmentChooser> begin(const SegmentStart& start) const override;
  /// Null when it is curves that say what is kept.
  const ProfileBudget* budget() const { return budget_; }

 private:
  const Profile* profile_;
  double keep_, attended_share_ = 1;
  std::optional<double> attend_;  // with curves alone
  double max_loss_ = std::numeric_limits<double>::infinity();
  SelectionRule rule_;
  const ProfileBudget* budget_ = nullptr;
  const AnswerRisk* answers_ = nullptr;
};

}  // namespace tca::runtime
