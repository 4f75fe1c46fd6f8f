// What a session keeps of what it reads: from a profile's budgets, or from its curves for the length at hand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/engine/session_state.h"
#include "tca/profile.h"

namespace tca::runtime {

/// One objective of a profile at one share to keep. The profile must outlive it.
class Selection {
 public:
  /// Of no profile: everything is kept.
  Selection() = default;
  /// Throws kInvalidArgument when the profile lacks the objective.
  Selection(const Profile& profile, double keep, const std::optional<double>& attend, const std::string& objective);

  bool empty() const { return profile_ == nullptr; }
  const SelectionRule& rule() const { return rule_; }
  /// Probes come from here; null: the segment's last queries.
  const QueryBank* bank() const { return answers_ == nullptr ? nullptr : &answers_->bank; }
  /// Null when it is curves that say what is kept.
  const ProfileBudget* budget() const { return budget_; }
  /// Prefill computes over everything.
  bool attends_all() const { return answers_ != nullptr && !attend_; }
  /// What every head keeps of the next tokens of a sequence that has num_tokens with them, before --tolerance.
  HeadShares shares(std::int64_t num_tokens) const;
  /// A head's next richer configuration, ending in full: the profile's, or twice the share where curves say it.
  BlockShares richer(const BlockShares& current, std::int32_t layer, std::int32_t kv_head) const;
  /// Mean share of the tokens that prefill computes over.
  double attended_share() const { return attended_share_; }

 private:
  const Profile* profile_ = nullptr;
  double keep_ = 1, attended_share_ = 1;
  std::optional<double> attend_;  // with curves alone
  SelectionRule rule_;
  const ProfileBudget* budget_ = nullptr;
  const AnswerRisk* answers_ = nullptr;
};

}  // namespace tca::runtime
