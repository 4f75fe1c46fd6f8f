// Charts as inline SVG, drawn when the page is written: nothing has to run for them to be read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/html/markup.h"
#include "cli/html/scale.h"

namespace tca::cli::html {

struct Interval {
  double low = 0, high = 0;
};

struct Point {
  double x = 0, y = 0;
  std::optional<Interval> interval = {};  // of y
  std::string note = {};                  // shown by a pointer that rests on it
};

/// How a series is told from others: by colour and by shape.
struct Look {
  int color = 0;   // 0: neutral, of what others are compared with; others from 1 on, in a circle
  int marker = 0;  // in a circle: disc, square, diamond, triangle
};

struct Series {
  std::string name = {};
  Look look = {};
  std::vector<Point> points = {};  // ascending by x
};

struct LineChart {
  std::string title = {};                  // the caption
  std::string description = {};            // what somebody hears who does not see it
  std::string x_title = {}, y_title = {};  // units follow
  Axis x = {}, y = {};
  std::vector<Series> series = {};
  bool names_at_ends = false;  // of series, behind their last points; else a legend has them
};
Markup line_chart(const LineChart& chart);

struct Bar {
  std::string name = {}, label = {};  // label: the value as people read it
  double value = 0;
  int color = 0;  // as Look's
};
struct BarChart {
  std::string title = {}, description = {}, x_title = {};
  Axis x = {};
  std::vector<Bar> bars = {};
};
Markup bar_chart(const BarChart& chart);

/// Which series is which.
Markup legend(const std::vector<Series>& series);

// What drawings share.

/// "12.3": places in drawings have a tenth of a pixel.
std::string px(double place);
/// A picture of so many pixels with its caption, which shrinks with the page. `description` is heard instead of it.
Markup figure(const std::string& title, const std::string& description, double width, double height, const Markup& in);
enum class Anchor { kStart, kMiddle, kEnd };
Markup svg_text(double x, double y, Anchor anchor, const char* css_class, std::string_view text);
Markup svg_line(double x1, double y1, double x2, double y2, const char* css_class);

}  // namespace tca::cli::html
