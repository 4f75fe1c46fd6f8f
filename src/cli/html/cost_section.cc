#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/format.h"
#include "cli/html/sections.h"

namespace tca::cli::html {
namespace {

// What a document costs a method.
struct Quantity {
  const char* title;    // of a chart
  const char* y_title;  // of its axis; the unit follows
  double MethodFigures::*value;
  Axis (*axis)(double most);
  std::string (*text)(double value);
};

std::string bytes_text(double bytes) { return format_bytes(static_cast<std::uint64_t>(bytes)); }

constexpr Quantity kQuantities[] = {
    {"KV cache", "behind a document", &MethodFigures::kv_bytes, bytes_axis, bytes_text},
    {"Reading a document", "time", &MethodFigures::read_seconds, seconds_axis, format_seconds}};

double most_of(const std::vector<const Result*>& results, const Quantity& quantity) {
  double most = 0;
  for (const Result* const result : results) {
    for (const MethodFigures& method : result->methods) most = std::max(most, method.*quantity.value);
  }
  return most;
}

std::vector<Series> series_of(const std::vector<const Result*>& results, const Quantity& quantity, const Looks& looks) {
  std::vector<Series> series;
  for (const Result* const result : results) {
    for (const MethodFigures& method : result->methods) {
      auto at =
          std::find_if(series.begin(), series.end(), [&](const Series& one) { return one.name == method.method; });
      if (at == series.end()) at = series.insert(at, {.name = method.method, .look = looks.of(method.method)});
      const double value = method.*quantity.value;
      at->points.push_back(
          {.x = result->length(),
           .y = value,
           .note = fmt::format("{} at {}: {}", method.method, counted(std::llround(result->length()), "token"),
                               quantity.text(value))});
    }
  }
  return series;
}

Markup by_length(const std::string& title, const std::vector<const Result*>& results, const std::set<double>& lengths,
                 const Quantity& quantity, const Looks& looks) {
  LineChart chart;
  chart.title = title;
  chart.x_title = "length of the document";
  chart.y_title = quantity.y_title;
  chart.x = length_axis({lengths.begin(), lengths.end()});
  chart.y = quantity.axis(most_of(results, quantity));
  chart.series = series_of(results, quantity, looks);
  chart.names_at_ends = true;
  chart.description = fmt::format("Chart: {} by length of the document.", title);
  for (const Series& series : chart.series) {
    for (const Point& point : series.points) chart.description += fmt::format(" {}.", point.note);
  }
  return line_chart(chart);
}

Markup as_bars(const std::string& title, const Result& result, const Quantity& quantity, const Looks& looks) {
  BarChart chart;
  chart.title = title;
  chart.x_title = quantity.y_title;
  chart.x = quantity.axis(most_of({&result}, quantity));
  chart.description = fmt::format("Chart: {}.", title);
  for (const MethodFigures& method : result.methods) {
    const double value = method.*quantity.value;
    chart.bars.push_back({method.method, quantity.text(value), value, looks.of(method.method).color});
    chart.description += fmt::format(" {}: {}.", method.method, quantity.text(value));
  }
  return bar_chart(chart);
}

// In the order in which they first come.
std::vector<std::string> model_names(const std::vector<Result>& results) {
  std::vector<std::string> names;
  for (const Result& result : results) {
    if (std::find(names.begin(), names.end(), result.model.name) == names.end()) names.push_back(result.model.name);
  }
  return names;
}

Markup charts_of_model(const Report& report, const std::string& model, bool only_model, const Looks& looks) {
  const std::vector<std::string> labels = labels_of(report.results);
  std::vector<const Result*> results;
  std::set<double> lengths;
  Markup charts;
  for (const Result& result : report.results) {
    if (result.model.name != model) continue;
    results.push_back(&result);
    lengths.insert(result.length());
  }
  for (const Quantity& quantity : kQuantities) {
    if (lengths.size() > 1) {
      const std::string title = only_model ? quantity.title : fmt::format("{}, {}", quantity.title, model);
      charts += by_length(title, results, lengths, quantity, looks);
      continue;
    }
    for (const Result* const result : results) {
      const std::string& label = labels[static_cast<std::size_t>(result - report.results.data())];
      charts += as_bars(fmt::format("{}, {}", quantity.title, label), *result, quantity, looks);
    }
  }
  return charts;
}

}  // namespace

Markup cost_section(const Report& report) {
  const Looks looks(report.results);
  const std::vector<std::string> models = model_names(report.results);
  Markup charts;
  for (const std::string& model : models) charts += charts_of_model(report, model, models.size() == 1, looks);
  const bool ranges = std::any_of(report.results.begin(), report.results.end(),
                                  [](const Result& result) { return result.shortest != result.longest; });
  std::string text =
      "Means over documents: what the cache holds behind a document, and how long it took to read, on the "
      "machine that ran the evaluation.";
  if (ranges)
    text += " Runs whose documents differ in length stand at the middle between the shortest and the longest.";
  return element("p", text) + element("div", {{"class", "charts"}}, charts);
}

}  // namespace tca::cli::html
