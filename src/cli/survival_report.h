// How many of full attention's answers survive other methods, as a table and as JSON.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cli/output.h"
#include "cli/terminal.h"
#include "evaluation/survival.h"

namespace tca::cli {

struct SurvivalRow {
  std::string method;
  evaluation::Survival survival;  // of the answers of full, the same for all rows
};

/// One row a method but full; empty where full found nothing or is the only one. group: what answers are grouped by
/// ("kind").
std::string survival_table(std::span<const SurvivalRow> rows, std::string_view group, const Style& style);
/// Null without one. The worst group and all of them have fields named after what they are: "worst_kind", "kinds".
Json survival_json(const std::optional<evaluation::Survival>& survival, std::string_view group);

}  // namespace tca::cli
