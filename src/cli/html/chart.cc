#include "cli/html/chart.h"

#include <fmt/format.h>

#include <cmath>

namespace tca::cli::html {
namespace {

constexpr double kWidth = 360, kHeight = 250;  // as wide as a phone: text is never drawn smaller than it was meant
constexpr double kLeft = 40, kTop = 30, kBottom = 44, kRight = 16, kRightWithNames = 88;
constexpr int kColors = 6, kMarkers = 4;
constexpr double kLineHeight = 13;

struct Plot {
  Scale x, y;
};

Plot plot_of(const LineChart& chart) {
  const double right = kWidth - (chart.names_at_ends ? kRightWithNames : kRight);
  return {.x = {chart.x.from(), chart.x.to(), kLeft, right, chart.x.logarithmic},
          .y = {chart.y.from(), chart.y.to(), kHeight - kBottom, kTop, chart.y.logarithmic}};
}

std::string color_class(int color) { return fmt::format("c{}", color == 0 ? 0 : (color - 1) % kColors + 1); }

std::string with_unit(const std::string& title, const std::string& unit) {
  return unit.empty() ? title : fmt::format("{} ({})", title, unit);
}

// Labels that would touch the one before are left out; the last one always stands.
Markup x_ticks(const Axis& axis, const Scale& scale, double bottom) {
  constexpr double kDigit = 6.6, kGap = 8;
  const auto half = [&](const Tick& tick) { return kDigit * static_cast<double>(tick.label.size()) / 2; };
  const Tick& last = axis.ticks.back();
  Markup ticks;
  double free_from = -1e9;
  for (const Tick& tick : axis.ticks) {
    const double x = scale.place(tick.value);
    if (tick.label.empty()) continue;
    ticks += svg_line(x, bottom, x, bottom + 4, "axis");
    const bool touches_last = &tick != &last && x + half(tick) + kGap > scale.place(last.value) - half(last);
    if (x - half(tick) < free_from || (touches_last && !last.label.empty())) continue;
    ticks += svg_text(x, bottom + 17, Anchor::kMiddle, "tick", tick.label);
    free_from = x + half(tick) + kGap;
  }
  return ticks;
}

Markup frame(const LineChart& chart, const Plot& plot) {
  Markup markup;
  for (const Tick& tick : chart.y.ticks) {
    const double y = plot.y.place(tick.value);
    markup += svg_line(kLeft, y, plot.x.at_to, y, tick.value == chart.y.from() ? "axis" : "grid");
    markup += svg_text(kLeft - 6, y + 4, Anchor::kEnd, "tick", tick.label);
  }
  markup += x_ticks(chart.x, plot.x, plot.y.at_from);
  markup += svg_text(0, 12, Anchor::kStart, "label", with_unit(chart.y_title, chart.y.unit));
  markup += svg_text((kLeft + plot.x.at_to) / 2, kHeight - 6, Anchor::kMiddle, "label",
                     with_unit(chart.x_title, chart.x.unit));
  return markup;
}

Markup marker(double x, double y, int shape, const Markup& title) {
  const auto polygon = [&](const std::string& points) { return element("polygon", {{"points", points}}, title); };
  switch (shape % kMarkers) {
    case 1:
      return element("rect", {{"x", px(x - 3.6)}, {"y", px(y - 3.6)}, {"width", "7.2"}, {"height", "7.2"}}, title);
    case 2:
      return polygon(fmt::format("{},{} {},{} {},{} {},{}", px(x), px(y - 5), px(x + 5), px(y), px(x), px(y + 5),
                                 px(x - 5), px(y)));
    case 3:
      return polygon(fmt::format("{},{} {},{} {},{}", px(x), px(y - 4.8), px(x + 5), px(y + 4), px(x - 5), px(y + 4)));
    default:
      return element("circle", {{"cx", px(x)}, {"cy", px(y)}, {"r", "4"}}, title);
  }
}

Markup whisker(const Interval& interval, double x, const Scale& scale) {
  const double low = scale.place(interval.low), high = scale.place(interval.high);
  Markup markup = svg_line(x, low, x, high, "whisker");
  markup += svg_line(x - 3, low, x + 3, low, "whisker");
  markup += svg_line(x - 3, high, x + 3, high, "whisker");
  return markup;
}

Markup drawn(const Series& series, const Plot& plot) {
  std::string path;
  Markup whiskers, markers;
  for (const Point& point : series.points) {
    const double x = plot.x.place(point.x), y = plot.y.place(point.y);
    path += fmt::format("{}{},{}", path.empty() ? "" : " ", px(x), px(y));
    if (point.interval) whiskers += whisker(*point.interval, x, plot.y);
    markers += marker(x, y, series.look.marker, element("title", point.note));
  }
  Markup markup = whiskers;
  if (series.points.size() > 1) markup += element("polyline", {{"points", path}}, Markup());
  markup += markers;
  return element("g", {{"class", color_class(series.look.color)}}, markup);
}

Markup end_names(const LineChart& chart, const Plot& plot) {
  std::vector<double> wanted;
  for (const Series& series : chart.series) wanted.push_back(plot.y.place(series.points.back().y));
  const std::vector<double> places = spread(wanted, kLineHeight, kTop, plot.y.at_from);
  Markup markup;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Series& series = chart.series[i];
    const double x = plot.x.place(series.points.back().x);
    // Where the name had to move, a thin line leads to it.
    Markup name = svg_line(x + 6, wanted[i], plot.x.at_to + 12, places[i], "lead");
    name += svg_text(plot.x.at_to + 15, places[i] + 4, Anchor::kStart, "name", clipped(series.name, 10));
    markup += element("g", {{"class", color_class(series.look.color)}}, name);
  }
  return markup;
}

}  // namespace

std::string px(double place) {
  const double rounded = std::round(place * 10) / 10;
  return fmt::format("{:g}", rounded == 0 ? 0 : rounded);  // no "-0"
}

Markup figure(const std::string& title, const std::string& description, double width, double height, const Markup& in) {
  const Markup svg = element("svg",
                             {{"viewBox", fmt::format("0 0 {} {}", px(width), px(height))},
                              {"width", px(width)},
                              {"height", px(height)},
                              {"role", "img"},
                              {"aria-label", description}},
                             element("title", title) + in);
  return element("figure", element("figcaption", title) + svg);
}

Markup svg_text(double x, double y, Anchor anchor, const char* css_class, std::string_view text) {
  static constexpr const char* kAnchors[] = {"start", "middle", "end"};
  const char* const anchored = kAnchors[static_cast<std::size_t>(anchor)];
  return element("text", {{"x", px(x)}, {"y", px(y)}, {"text-anchor", anchored}, {"class", css_class}}, text);
}

Markup svg_line(double x1, double y1, double x2, double y2, const char* css_class) {
  return element("line", {{"x1", px(x1)}, {"y1", px(y1)}, {"x2", px(x2)}, {"y2", px(y2)}, {"class", css_class}},
                 Markup());
}

Markup line_chart(const LineChart& chart) {
  const Plot plot = plot_of(chart);
  Markup markup = frame(chart, plot);
  for (const Series& series : chart.series) markup += drawn(series, plot);
  if (chart.names_at_ends) markup += end_names(chart, plot);
  return figure(chart.title, chart.description, kWidth, kHeight, markup);
}

Markup bar_chart(const BarChart& chart) {
  constexpr double kNames = 88, kValues = 72, kRow = 26, kBar = 14, kBarsTop = 6;
  const double bottom = kBarsTop + kRow * static_cast<double>(chart.bars.size());
  const Scale x{chart.x.from(), chart.x.to(), kNames, kWidth - kValues, false};
  Markup markup;
  for (std::size_t i = 0; i < chart.bars.size(); ++i) {
    const Bar& bar = chart.bars[i];
    const double y = kBarsTop + kRow * static_cast<double>(i) + kRow / 2, end = x.place(bar.value);
    markup += svg_text(kNames - 8, y + 4, Anchor::kEnd, "name", clipped(bar.name, 12));
    markup += element("rect",
                      {{"x", px(kNames)},
                       {"y", px(y - kBar / 2)},
                       {"width", px(std::max(1.0, end - kNames))},
                       {"height", px(kBar)},
                       {"class", color_class(bar.color)}},
                      element("title", fmt::format("{}: {}", bar.name, bar.label)));
    markup += svg_text(end + 6, y + 4, Anchor::kStart, "value", bar.label);
  }
  markup += svg_line(kNames, kBarsTop, kNames, bottom, "axis");
  markup += x_ticks(chart.x, x, bottom);
  markup +=
      svg_text((kNames + x.at_to) / 2, bottom + 36, Anchor::kMiddle, "label", with_unit(chart.x_title, chart.x.unit));
  return figure(chart.title, chart.description, kWidth, bottom + 42, markup);
}

Markup legend(const std::vector<Series>& series) {
  Markup items;
  for (const Series& one : series) {
    const Markup sign =
        element("svg",
                {{"viewBox", "0 0 24 12"},
                 {"width", "24"},
                 {"height", "12"},
                 {"aria-hidden", "true"},
                 {"class", color_class(one.look.color)}},
                element("polyline", {{"points", "0,6 24,6"}}, Markup()) + marker(12, 6, one.look.marker, Markup()));
    items += element("li", sign + escaped(one.name));
  }
  return element("ul", {{"class", "legend"}}, items);
}

}  // namespace tca::cli::html
