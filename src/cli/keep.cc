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

PickedKeep pick_keep(const Profile& profile, double keep, const std::string& objective, const std::string& asked_as) {
  const std::string name = objective.empty() ? profile.usual_objective() : objective;
  if (name == kAnswerRisk && profile.answer_risk) {
    return {.objective = name, .budget = keep, .kept_share = keep, .configuration = nullptr};
  }
  const ProfileBudget& budget = profile.pick(keep, name);
  if (budget.kept_share > keep && !is_same(budget.kept_share, keep)) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("{}: the profile's smallest configuration keeps {:.3g} ({}); keep more, or calibrate with "
                            "smaller --budgets",
                            asked_as, budget.kept_share, list_budgets(profile, name)));
  }
  return {.objective = name, .budget = budget.budget, .kept_share = budget.kept_share, .configuration = &budget};
}

std::string nearest_budget_note(const Profile& profile, double keep, const std::string& objective,
                                const std::string& asked_as) {
  const PickedKeep picked = pick_keep(profile, keep, objective, asked_as);
  if (is_same(picked.budget, keep)) return "";
  return fmt::format("{}: the profile's nearest configuration is {:g} ({}; 1 is full attention)", asked_as,
                     picked.budget, list_budgets(profile, picked.objective));
}

std::optional<MeasuredAnswers> measured_answers(const runtime::SessionOptions& options) {
  if (options.profile == nullptr || !options.profile->answer_risk) return std::nullopt;
  const Profile& profile = *options.profile;
  if ((options.objective.empty() ? profile.usual_objective() : options.objective) != kAnswerRisk) return std::nullopt;
  // The largest share that was measured and is no larger: what is kept loses no more.
  std::optional<MeasuredAnswers> found;
  for (const MeasuredAnswers& measured : profile.answer_risk->measured) {
    if (measured.keep <= options.keep + 1e-9) found = measured;
  }
  if (found || profile.answer_risk->measured.empty()) return found;
  return profile.answer_risk->measured.front();
}

std::string answers_warning(const runtime::SessionOptions& options) {
  const std::optional<MeasuredAnswers> measured = measured_answers(options);
  if (!measured || measured->answers_kept >= 0.95) return "";
  return fmt::format(
      "--keep {:g}: when this model was calibrated, {:.0f} of 100 answers were still right with {:g} "
      "kept; --keep {:g} kept {:.0f} of 100",
      options.keep, 100 * measured->answers_kept, measured->keep, options.profile->usual_keep(kAnswerRisk),
      100 * kUsualAnswers);
}

std::optional<std::string> measured_on(const runtime::SessionOptions& options) {
  if (options.profile == nullptr) return std::nullopt;
  if (const auto answers = measured_answers(options)) {
    if (!is_same(answers->keep, options.keep)) return std::nullopt;
    return fmt::format("{} questions of its calibration, of which {:.0f} % kept their answers", answers->questions,
                       100 * answers->answers_kept);
  }
  if (!options.profile->default_keep) return std::nullopt;
  const MeasuredKeep& measured = *options.profile->default_keep;
  if (measured.objective != pick_keep(*options.profile, options.keep, options.objective, "").objective ||
      measured.keep != options.keep)
    return std::nullopt;
  return measured.measured_on;
}

std::string default_keep_text(const runtime::SessionOptions& options) {
  const double budget = pick_keep(*options.profile, options.keep, options.objective, "keep").budget;
  const std::string nearest = is_same(budget, options.keep) ? "" : fmt::format(" (here {:g}, the nearest)", budget);
  if (const auto what = measured_on(options)) {
    return fmt::format("{:g}{}, the profile's default, measured on {}", options.keep, nearest, *what);
  }
  return fmt::format("{:g}{} by default, not measured on this model: `tca eval` compares answers", options.keep,
                     nearest);
}

}  // namespace tca::cli
