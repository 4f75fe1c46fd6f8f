// Where values are drawn.
#include "cli/html/chart.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cli/html/heat_map_chart.h"

namespace tca::cli::html {
namespace {

std::vector<std::string> labels(const Axis& axis) {
  std::vector<std::string> found;
  for (const Tick& tick : axis.ticks) found.push_back(tick.label);
  return found;
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(HtmlScale, ValuesGoToTheirPlaces) {
  const Scale linear{.from = 0, .to = 50, .at_from = 40, .at_to = 340};
  EXPECT_DOUBLE_EQ(linear.place(0), 40);
  EXPECT_DOUBLE_EQ(linear.place(10), 100);
  EXPECT_DOUBLE_EQ(linear.place(50), 340);
  const Scale upward{.from = 0, .to = 1, .at_from = 200, .at_to = 20};
  EXPECT_DOUBLE_EQ(upward.place(0.25), 155);
  const Scale logarithmic{.from = 1024, .to = 16384, .at_from = 0, .at_to = 400, .logarithmic = true};
  EXPECT_DOUBLE_EQ(logarithmic.place(1024), 0);
  EXPECT_DOUBLE_EQ(logarithmic.place(2048), 100);
  EXPECT_DOUBLE_EQ(logarithmic.place(16384), 400);
}

TEST(HtmlScale, StepsAreRoundAndFew) {
  EXPECT_DOUBLE_EQ(nice_step(100), 20);
  EXPECT_DOUBLE_EQ(nice_step(101), 50);
  EXPECT_DOUBLE_EQ(nice_step(5), 1);
  EXPECT_DOUBLE_EQ(nice_step(0.03), 0.01);
  EXPECT_DOUBLE_EQ(nice_step(7e9), 2e9);
}

TEST(HtmlScale, AxesEndAboveTheLargestValue) {
  EXPECT_EQ(labels(percent_axis(1)), (std::vector<std::string>{"0", "20", "40", "60", "80", "100"}));
  EXPECT_EQ(labels(percent_axis(0.391)), (std::vector<std::string>{"0", "10", "20", "30", "40"}));
  EXPECT_DOUBLE_EQ(percent_axis(0.391).to(), 0.4);
  EXPECT_EQ(labels(percent_axis(0.3)), (std::vector<std::string>{"0", "10", "20", "30"}));
  EXPECT_EQ(labels(percent_axis(0)), (std::vector<std::string>{"0", "0.2"}));
}

TEST(HtmlScale, UnitsAreThoseOfTheLargestValue) {
  const Axis bytes = bytes_axis(45.0 * 1024 * 1024);
  EXPECT_EQ(bytes.unit, "MiB");
  EXPECT_EQ(labels(bytes), (std::vector<std::string>{"0", "10", "20", "30", "40", "50"}));
  EXPECT_DOUBLE_EQ(bytes.to(), 50.0 * 1024 * 1024);
  EXPECT_EQ(bytes_axis(0).unit, "bytes");
  EXPECT_EQ(bytes_axis(1023).unit, "bytes");
  EXPECT_EQ(bytes_axis(1024).unit, "KiB");
  EXPECT_EQ(seconds_axis(0.085).unit, "ms");
  EXPECT_DOUBLE_EQ(seconds_axis(0.085).to(), 0.1);
  EXPECT_EQ(seconds_axis(12).unit, "seconds");
}

TEST(HtmlScale, LengthsThatAreFarApartGetALogarithmicAxis) {
  const Axis near = length_axis({2048, 4096, 7800});
  EXPECT_FALSE(near.logarithmic);
  EXPECT_EQ(labels(near), (std::vector<std::string>{"0", "2,048", "4,096", "7,800"}));
  const Axis far = length_axis({2048, 32768, 131072});
  EXPECT_TRUE(far.logarithmic);
  EXPECT_EQ(labels(far), (std::vector<std::string>{"2,048", "32,768", "131,072"}));
}

TEST(HtmlScale, LabelsAreSpreadInOrder) {
  EXPECT_EQ(spread({10, 50}, 10, 0, 100), (std::vector<double>{10, 50}));
  EXPECT_EQ(spread({50, 50, 48}, 10, 0, 100), (std::vector<double>{58, 68, 48}));
  EXPECT_EQ(spread({98, 99, 20}, 10, 0, 100), (std::vector<double>{90, 100, 20}));
  EXPECT_TRUE(spread({}, 10, 0, 100).empty());
}

LineChart two_points() {
  return {
      .title = "Title <1>",
      .description = "heard",
      .x_title = "kept",
      .y_title = "right",
      .x = percent_axis(1),
      .y = percent_axis(1),
      .series = {{.name = "a&b", .look = {.color = 2, .marker = 0}, .points = {{.x = 0, .y = 0}, {.x = 1, .y = 1}}}}};
}

TEST(HtmlChart, LinesGoThroughThePointsPlaces) {
  const std::string svg = line_chart(two_points()).str();
  // 360 by 250 with margins of 40, 30, 16 and 44.
  EXPECT_NE(svg.find("<polyline points=\"40,206 344,30\">"), std::string::npos) << svg;
  EXPECT_NE(svg.find("<g class=\"c2\">"), std::string::npos) << svg;
}

TEST(HtmlChart, PicturesHaveTitlesUnitsAndDescriptions) {
  const std::string svg = line_chart(two_points()).str();
  EXPECT_NE(svg.find("role=\"img\" aria-label=\"heard\"><title>Title &lt;1&gt;</title>"), std::string::npos) << svg;
  EXPECT_NE(svg.find(">kept (%)</text>"), std::string::npos) << svg;
  EXPECT_NE(svg.find(">right (%)</text>"), std::string::npos) << svg;
}

TEST(HtmlChart, IntervalsAreWhiskers) {
  LineChart chart = two_points();
  EXPECT_EQ(count(line_chart(chart).str(), "whisker"), 0);
  chart.series[0].points[1] = {.x = 0.5, .y = 0.5, .interval = Interval{.low = 0.25, .high = 0.75}};
  const std::string svg = line_chart(chart).str();
  EXPECT_EQ(count(svg, "whisker"), 3) << svg;
  EXPECT_NE(svg.find("<line x1=\"192\" y1=\"162\" x2=\"192\" y2=\"74\" class=\"whisker\">"), std::string::npos) << svg;
}

TEST(HtmlChart, NamesStandAtTheEndsOfLines) {
  LineChart chart = two_points();
  chart.names_at_ends = true;
  chart.series[0].name = "a method of a long name";
  const std::string svg = line_chart(chart).str();
  EXPECT_NE(svg.find(">a method o…</text>"), std::string::npos) << svg;
}

TEST(HtmlChart, BarsAreAsLongAsTheirValues) {
  BarChart chart{.title = "t", .description = "d", .x_title = "size", .x = bytes_axis(100), .bars = {}};
  chart.bars = {{.name = "a", .label = "100 B", .value = 100, .color = 1},
                {.name = "b", .label = "25 B", .value = 25, .color = 0}};
  const std::string svg = bar_chart(chart).str();
  EXPECT_NE(svg.find("width=\"200\" height=\"14\" class=\"c1\""), std::string::npos) << svg;
  EXPECT_NE(svg.find("width=\"50\" height=\"14\" class=\"c0\""), std::string::npos) << svg;
}

TEST(HtmlHeatMap, FewHeadsAreNumberedManyAreColoured) {
  const std::string few = heat_map_chart({.title = "m", .shares = {{0, 0.003}, {0.25, 1}}}).str();
  for (const char* const cell :
       {"class=\"on0\">0<", "class=\"on0\">&lt;1<", "class=\"on4\">25<", "class=\"on7\">100<"}) {
    EXPECT_NE(few.find(cell), std::string::npos) << cell << few;
  }
  const std::string many = heat_map_chart({.title = "m", .shares = {std::vector<double>(32, 0.5)}}).str();
  EXPECT_EQ(count(many, "class=\"on"), 0);
  EXPECT_NE(many.find("<title>layer 0, KV head 31: 50 %</title>"), std::string::npos) << many;
}

}  // namespace
}  // namespace tca::cli::html
