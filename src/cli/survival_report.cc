#include "cli/survival_report.h"

#include <fmt/format.h>

#include "cli/format.h"
#include "cli/text_table.h"

namespace tca::cli {

std::string survival_table(std::span<const SurvivalRow> rows, std::string_view group, const Style& style) {
  if (rows.empty()) return "";
  std::vector<Column> columns = {{"of full's answers"},
                                 {"survive", true},
                                 {"share", true},
                                 {"95 % interval", true},
                                 {fmt::format("worst {}", group)}};
  for (const auto& named : rows.front().survival.groups) columns.push_back({named.name, true});
  TextTable table(columns);
  bool empty = true;
  for (const auto& [method, survival] : rows) {
    if (method == "full" || survival.total.found == 0) continue;
    empty = false;
    const auto of = [](const evaluation::Survivors& s) { return fmt::format("{} of {}", s.survived, s.found); };
    std::vector<Cell> row = {{method},
                             {of(survival.total)},
                             {format_percent(survival.total.share())},
                             {fmt::format("{} to {}", format_percent(survival.low), format_percent(survival.high))},
                             {survival.worst()->name}};
    for (const auto& named : survival.groups) row.push_back({of(named.survivors)});
    table.add_row(std::move(row));
  }
  return empty ? "" : table.render(style, "");
}

Json survival_json(const std::optional<evaluation::Survival>& survival, std::string_view group) {
  if (!survival) return Json();
  Json groups = Json::object();
  for (const auto& named : survival->groups) {
    groups[named.name] = {{"found", named.survivors.found}, {"survived", named.survivors.survived}};
  }
  const auto worst = survival->worst();
  return {{"found", survival->total.found},
          {"survived", survival->total.survived},
          {"share", survival->total.share()},
          {"low", survival->low},
          {"high", survival->high},
          {fmt::format("worst_{}", group), worst ? Json(worst->name) : Json()},
          {fmt::format("{}s", group), std::move(groups)}};
}

}  // namespace tca::cli
