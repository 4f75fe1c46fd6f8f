// --keep: the configuration it comes to, and what is said about it.
#pragma once

#include <optional>
#include <string>

#include "runtime/engine/session.h"

namespace tca::cli {

/// The configuration of an objective for a share. Throws kInvalidArgument where even the smallest keeps more than
/// asked. asked_as: how the user said it ("--keep 0.2").
const ProfileBudget& pick_budget(const Profile& profile, double keep, const std::string& objective,
                                 const std::string& asked_as);
/// One line where the profile does not hold that very budget, saying which one is used; empty where it does. Throws as
/// pick_budget.
std::string nearest_budget_note(const Profile& profile, double keep, const std::string& objective,
                                const std::string& asked_as);
/// What the default share of an objective was measured on; nothing where it was not measured, or another share is kept.
std::optional<std::string> measured_on(const runtime::SessionOptions& options);
/// "0.2, the profile's default, measured on ..." for options with a profile whose share nobody asked for.
std::string default_keep_text(const runtime::SessionOptions& options);

}  // namespace tca::cli
