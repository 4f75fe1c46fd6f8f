// What a profile holds, as tables, maps and JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/heat_map.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "tca/profile.h"

namespace tca::cli {

/// One row a budget: what was asked, what was found, how many heads keep everything or only their window.
/// What calibration measured of answers, a bar a share.
std::string answers_table(const AnswerRisk& answers, const Style& style);
/// What heads hold of a segment of num_tokens.
HeatMap answer_risk_map(const AnswerRisk& answers, double keep, std::int64_t num_tokens);
std::string budgets_table(const Profile& profile, const Style& style);
/// Kept share by layer and head of one budget.
HeatMap budget_map(const ProfileBudget& budget);
/// A map for each share, those of budgets once each; without shares: of curves 0.1, 0.2 and the usual one, else all
/// configurations of the objective. tokens: the length whose shares curves are drawn for. Throws kInvalidArgument where
/// the profile lacks the objective, or keeps more than a share.
std::vector<HeatMap> profile_maps(const Profile& profile, const std::vector<double>& shares,
                                  const std::string& objective, std::int64_t tokens);
/// Mean kept share of each layer's heads.
std::vector<double> kept_by_layer(const ProfileBudget& budget);

/// Field by field.
Json fingerprint_json(const ModelFingerprint& model);
/// Without heads: {"objective", "budget", "kept_share", "full_heads", "window_heads", "heads", "kept_by_layer"}.
Json budget_json(const ProfileBudget& budget);
/// The whole profile, kept shares and risks of every head included.
/// {"rule", "windows", "shares", "bank_queries", "measured"}.
Json answer_risk_json(const AnswerRisk& answers);
Json profile_json(const Profile& profile);

}  // namespace tca::cli
