// --keep: the configuration it comes to, and what is said about it.
#pragma once

#include <optional>
#include <string>

#include "runtime/engine/session.h"

namespace tca::cli {

/// What a profile has for a share.
struct PickedKeep {
  std::string objective;
  double budget = 0;                             // the share that is kept, window and sinks included
  double kept_share = 0;                         // without them, where it is a configuration's; else as budget
  const ProfileBudget* configuration = nullptr;  // null: curves, which have every share
};
/// Of an objective, the profile's usual one when empty. Throws kInvalidArgument where even the smallest configuration
/// keeps more than asked. asked_as: how the user said it ("--keep 0.2").
PickedKeep pick_keep(const Profile& profile, double keep, const std::string& objective, const std::string& asked_as);
/// One line where the profile does not hold that very budget, saying which one is used; empty where it does. Throws as
/// pick_keep.
std::string nearest_budget_note(const Profile& profile, double keep, const std::string& objective,
                                const std::string& asked_as);
/// What calibration measured of the share that is kept, or of the next smaller one; nothing where it did not.
std::optional<MeasuredAnswers> measured_answers(const runtime::SessionOptions& options);
/// One line where that share was measured to lose more than a twentieth of the answers; else empty.
std::string answers_warning(const runtime::SessionOptions& options);
/// What the default share of an objective was measured on; nothing where it was not measured, or another share is kept.
std::optional<std::string> measured_on(const runtime::SessionOptions& options);
/// "0.2, the profile's default, measured on ..." for options with a profile whose share nobody asked for.
std::string default_keep_text(const runtime::SessionOptions& options);

}  // namespace tca::cli
