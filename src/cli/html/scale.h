// Where values are drawn: axes that begin at zero, and places between two ends.
#pragma once

#include <string>
#include <vector>

namespace tca::cli::html {

/// From values to places. from < to.
struct Scale {
  double from = 0, to = 1;        // values at the ends
  double at_from = 0, at_to = 1;  // their places
  bool logarithmic = false;       // equal ratios are equally far apart; from > 0

  double place(double value) const;
};

struct Tick {
  double value = 0;
  std::string label = {};
};

/// Values from the first tick's to the last one's.
struct Axis {
  std::string unit = {};  // of the labels
  std::vector<Tick> ticks = {};
  bool logarithmic = false;

  double from() const { return ticks.front().value; }
  double to() const { return ticks.back().value; }
};

/// 1, 2 or 5 times a power of ten: the smallest that takes `most` > 0 in at most five steps.
double nice_step(double most);

// Axes from zero to the first tick that is not below `most`, which may be zero.

Axis percent_axis(double most_share);  // shares in, percent on the labels
Axis bytes_axis(double most_bytes);
Axis seconds_axis(double most_seconds);

/// An axis of lengths in tokens: a tick for each, logarithmic where they are far apart. A single one stands in the
/// middle. lengths: ascending, without equals, not empty, > 0.
Axis length_axis(const std::vector<double>& lengths);

/// Places as near to the wanted ones as can be, in the same order, `gap` apart at least and inside [low, high] where
/// that has room for them.
std::vector<double> spread(const std::vector<double>& wanted, double gap, double low, double high);

}  // namespace tca::cli::html
