#include <fmt/format.h>

#include <algorithm>

#include "cli/format.h"
#include "cli/html/sections.h"
#include "cli/html/table.h"

namespace tca::cli::html {
namespace {

// Nothing to put into a cell.
Markup none() { return element("span", {{"class", "interval"}}, "–"); }

std::string interval_text(const SurvivalFigures& survival) {
  return fmt::format("{} to {}", format_percent(survival.low), format_percent(survival.high));
}

bool survives(const MethodFigures& method) {
  return !method.is_full() && method.survival && method.survival->found > 0;
}

const MethodFigures* find_method(const Result& result, const std::string& name) {
  const auto found = std::find_if(result.methods.begin(), result.methods.end(),
                                  [&](const MethodFigures& method) { return method.method == name; });
  return found == result.methods.end() ? nullptr : &*found;
}

// Families in the order in which they first come, what keeps more before what keeps less.
std::vector<std::string> method_names(const Report& report) {
  std::vector<const MethodFigures*> methods;
  std::vector<std::string> families;
  for (const Result& result : report.results) {
    for (const MethodFigures& method : result.methods) {
      const auto same = [&](const MethodFigures* other) { return other->method == method.method; };
      if (std::none_of(methods.begin(), methods.end(), same)) methods.push_back(&method);
      families.push_back(family_of(method.method));
    }
  }
  const auto place = [&](const MethodFigures& method) {
    return std::find(families.begin(), families.end(), family_of(method.method));
  };
  std::stable_sort(methods.begin(), methods.end(), [&](const MethodFigures* a, const MethodFigures* b) {
    return place(*a) != place(*b) ? place(*a) < place(*b) : a->kept_share > b->kept_share;
  });
  std::vector<std::string> names;
  for (const MethodFigures* const method : methods) names.push_back(method->method);
  return names;
}

// ---- all runs side by side

Markup overview_cell(const MethodFigures* method) {
  if (method == nullptr) return none();
  if (method->is_full()) return part_of(method->total.right, method->total.questions);
  if (!survives(*method)) return none();
  return escaped(format_percent(method->survival->share)) + Markup::trusted(" ") +
         element("span", {{"class", "interval"}}, interval_text(*method->survival));
}

Markup overview(const Report& report, const std::vector<std::string>& labels) {
  std::vector<TableColumn> columns = {{"method"}};
  for (const std::string& label : labels) columns.push_back({label, true});
  HtmlTable table(columns);
  for (const std::string& name : method_names(report)) {
    std::vector<Markup> row = {escaped(name)};
    for (const Result& result : report.results) row.push_back(overview_cell(find_method(result, name)));
    table.add_row(row);
  }
  return table.markup(
      "Of full: answers it found, of all questions. Of others: the share of these that survives, and its 95 % "
      "interval.");
}

// ---- a chart of one run

std::vector<Series> survival_series(const Result& result, const Looks& looks) {
  std::vector<Series> series;
  for (const MethodFigures& method : result.methods) {
    if (!survives(method)) continue;
    const std::string family = family_of(method.method);
    auto at = std::find_if(series.begin(), series.end(), [&](const Series& one) { return one.name == family; });
    if (at == series.end()) at = series.insert(at, {.name = family, .look = looks.of_family(family)});
    const SurvivalFigures& survival = *method.survival;
    at->points.push_back({.x = method.kept_share,
                          .y = survival.share,
                          .interval = Interval{survival.low, survival.high},
                          .note = fmt::format("{}: {} kept, {} of {} answers survive, {} ({})", method.method,
                                              format_percent(method.kept_share), survival.survived, survival.found,
                                              format_percent(survival.share), interval_text(survival))});
  }
  for (Series& one : series) {
    std::stable_sort(one.points.begin(), one.points.end(), [](auto& a, auto& b) { return a.x < b.x; });
  }
  return series;
}

double most_kept(const Report& report) {
  double most = 0;
  for (const Result& result : report.results) {
    for (const MethodFigures& method : result.methods) {
      if (survives(method)) most = std::max(most, method.kept_share);
    }
  }
  return most;
}

Markup survival_chart(const std::string& label, const std::vector<Series>& series, double kept) {
  LineChart chart;
  chart.title = label;
  chart.description = fmt::format(
      "Chart of {}: the share of full attention's answers that survive by the share of the KV "
      "cache that is kept.",
      label);
  for (const Series& one : series) {
    for (const Point& point : one.points) chart.description += fmt::format(" {}.", point.note);
  }
  chart.x_title = "KV cache kept";
  chart.y_title = "answers that survive";
  chart.x = percent_axis(kept);
  chart.y = percent_axis(1);
  chart.series = series;
  return line_chart(chart);
}

// ---- tables of one run

/// Losses of plain text that some method of a run has.
struct LossColumns {
  explicit LossColumns(const Result& result) {
    for (const MethodFigures& method : result.methods) {
      reading |= method.reading_loss.has_value();
      continued |= method.continued_loss.has_value();
    }
  }
  bool reading = false, continued = false;
};

Markup loss_cell(const std::optional<double>& loss) { return loss ? escaped(fmt::format("{:.4f}", *loss)) : none(); }

std::vector<TableColumn> run_columns(const Result& result, const LossColumns& losses) {
  std::vector<TableColumn> columns = {
      {"method"}, {"kept", true}, {"KV cache", true}, {result.of_tasks() ? "answers right" : "answers found", true}};
  if (result.of_tasks()) columns.push_back({"mean score", true});
  for (const char* const name : {"survive", "share", "95 % interval"}) columns.push_back({name, true});
  columns.push_back({fmt::format("worst {}", result.group())});
  if (losses.reading) columns.push_back({"loss, text", true});
  if (losses.continued) columns.push_back({"loss, what follows", true});
  columns.push_back({"read", true});
  return columns;
}

Markup run_table(const Result& result, const std::string& label) {
  const LossColumns losses(result);
  HtmlTable table(run_columns(result, losses));
  for (const MethodFigures& method : result.methods) {
    std::vector<Markup> row = {escaped(method.method), escaped(format_percent(method.kept_share)),
                               escaped(format_bytes(static_cast<std::uint64_t>(method.kv_bytes))),
                               part_of(method.total.right, method.total.questions)};
    if (result.of_tasks()) row.push_back(escaped(fmt::format("{:.3f}", *method.total.score)));
    if (survives(method)) {
      const SurvivalFigures& survival = *method.survival;
      row.push_back(part_of(survival.survived, survival.found));
      row.push_back(escaped(format_percent(survival.share)));
      row.push_back(escaped(interval_text(survival)));
      row.push_back(survival.worst ? escaped(*survival.worst) : none());
    } else {
      row.insert(row.end(), 4, none());
    }
    if (losses.reading) row.push_back(loss_cell(method.reading_loss));
    if (losses.continued) row.push_back(loss_cell(method.continued_loss));
    row.push_back(escaped(format_seconds(method.read_seconds)));
    table.add_row(row);
  }
  return table.uncaptioned(fmt::format("Methods at {}", label));
}

// Of methods with survival what survives, else what is right.
Markup group_cell(const MethodFigures& method, const GroupScore& group) {
  if (!survives(method)) return part_of(group.right, group.questions);
  for (const GroupSurvival& survival : method.survival->groups) {
    if (survival.name == group.name) return part_of(survival.survived, survival.found);
  }
  return none();  // full found none of it
}

Markup groups_table(const Result& result, const std::string& label) {
  const std::vector<GroupScore>& groups = result.methods.front().groups;
  std::vector<TableColumn> columns = {{"method"}};
  for (const GroupScore& group : groups) columns.push_back({group.name, true});
  HtmlTable table(columns);
  for (const MethodFigures& method : result.methods) {
    std::vector<Markup> row = {escaped(method.method)};
    for (const GroupScore& group : groups) row.push_back(group_cell(method, group));
    table.add_row(row);
  }
  const std::string caption = fmt::format(
      "{}: of full, or where full is no method, the right answers; of others, how "
      "many of full's survive",
      label);
  return element("details", element("summary", fmt::format("By {}", result.group())) + table.markup(caption));
}

Markup unanswered_note(const Result& result) {
  const MethodFigures* const full = find_method(result, "full");
  if (full == nullptr) {
    return element("p", {{"class", "note"}},
                   "Full attention is not among the methods: there are no answers to survive.");
  }
  if (full->total.right == 0) {
    return element("p", {{"class", "note"}}, "Full attention found none of the answers: there is nothing to survive.");
  }
  return {};
}

}  // namespace

Markup quality_section(const Report& report) {
  const Looks looks(report.results);
  const std::vector<std::string> labels = labels_of(report.results);
  Markup markup =
      element("p",
              "An answer survives where full attention finds it, with every token kept, and the method finds "
              "it too. Whiskers and intervals are 95 %, by bootstrap over documents and their questions.");
  if (report.results.size() > 1) markup += overview(report, labels);
  Markup charts, tables;
  std::vector<Series> families;
  for (std::size_t i = 0; i < report.results.size(); ++i) {
    const Result& result = report.results[i];
    const std::vector<Series> series = survival_series(result, looks);
    if (!series.empty()) charts += survival_chart(labels[i], series, most_kept(report));
    for (const Series& one : series) {
      if (std::none_of(families.begin(), families.end(), [&](auto& family) { return family.name == one.name; })) {
        families.push_back({.name = one.name, .look = one.look});
      }
    }
    tables += element("h3", labels[i]) + unanswered_note(result) + run_table(result, labels[i]);
    tables += groups_table(result, labels[i]);
  }
  if (!charts.empty()) markup += legend(families) + element("div", {{"class", "charts"}}, charts);
  return markup + tables;
}

Looks::Looks(const std::vector<Result>& results) {
  std::map<std::string, int> members;
  for (const Result& result : results) {
    for (const MethodFigures& method : result.methods) {
      const std::string family = family_of(method.method);
      const int next = static_cast<int>(colors_.size() - colors_.count("full")) + 1;
      const int color = colors_.emplace(family, method.is_full() ? 0 : next).first->second;
      if (looks_.emplace(method.method, Look{color, members[family]}).second) ++members[family];
    }
  }
}

}  // namespace tca::cli::html
