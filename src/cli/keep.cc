#include "cli/keep.h"

#include <fmt/format.h>

#include <cmath>

#include "tca/error.h"

namespace tca::cli {

namespace {

// Shares are decimal text in a file: their last digit does not count.
bool is_same(double a, double b) { return std::abs(a - b) < 1e-9; }

// "it has 0.1, 0.2"
std::string list_budgets(const Profile& profile, const std::string& objective) {
  std::string list;
  for (const ProfileBudget& budget : profile.budgets) {
    if (budget.objective == objective) list += fmt::format("{}{:g}", list.empty() ? "" : ", ", budget.budget);
  }
  return "it has " + list;
}

}  // namespace

const ProfileBudget& pick_budget(const Profile& profile, double keep, const std::string& objective,
                                 const std::string& asked_as) {
  const ProfileBudget& budget = profile.pick(keep, objective);
  if (budget.kept_share > keep && !is_same(budget.kept_share, keep)) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("{}: the profile's smallest configuration keeps {:.3g} ({}); keep more, or calibrate with "
                            "smaller --budgets",
                            asked_as, budget.kept_share, list_budgets(profile, objective)));
  }
  return budget;
}

std::string nearest_budget_note(const Profile& profile, double keep, const std::string& objective,
                                const std::string& asked_as) {
  const ProfileBudget& budget = pick_budget(profile, keep, objective, asked_as);
  if (is_same(budget.budget, keep)) return "";
  return fmt::format("{}: the profile's nearest configuration is {:g} ({}; 1 is full attention)", asked_as,
                     budget.budget, list_budgets(profile, objective));
}

std::optional<std::string> measured_on(const runtime::SessionOptions& options) {
  if (options.profile == nullptr || !options.profile->default_keep) return std::nullopt;
  const MeasuredKeep& measured = *options.profile->default_keep;
  if (measured.objective != options.objective || measured.keep != options.keep) return std::nullopt;
  return measured.measured_on;
}

std::string default_keep_text(const runtime::SessionOptions& options) {
  const double budget = options.profile->pick(options.keep, options.objective).budget;
  const std::string nearest = is_same(budget, options.keep) ? "" : fmt::format(" (here {:g}, the nearest)", budget);
  if (const auto what = measured_on(options)) {
    return fmt::format("{:g}{}, the profile's default, measured on {}", options.keep, nearest, *what);
  }
  return fmt::format("{:g}{} by default, not measured on this model: `tca eval` compares answers", options.keep,
                     nearest);
}

}  // namespace tca::cli
