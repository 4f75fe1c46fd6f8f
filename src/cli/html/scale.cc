#include "cli/html/scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "cli/format.h"

namespace tca::cli::html {
namespace {

// value_of_unit: what one on the labels stands for.
Axis axis_from_zero(double most, double value_of_unit, std::string unit) {
  const double step = nice_step(most > 0 ? most / value_of_unit : 1);
  // A value that lies on a tick must not be pushed over it by rounding.
  const auto steps = static_cast<int>(std::max(1.0, std::ceil(most / value_of_unit / step - 1e-9)));
  Axis axis;
  axis.unit = std::move(unit);
  for (int i = 0; i <= steps; ++i) axis.ticks.push_back({i * step * value_of_unit, fmt::format("{:g}", i * step)});
  return axis;
}

}  // namespace

double Scale::place(double value) const {
  const double share = logarithmic ? std::log(value / from) / std::log(to / from) : (value - from) / (to - from);
  return at_from + share * (at_to - at_from);
}

double nice_step(double most) {
  constexpr int kMostSteps = 5;
  const double power = std::pow(10.0, std::floor(std::log10(most / kMostSteps)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (most <= kMostSteps * factor * power * (1 + 1e-9)) return factor * power;
  }
  return 10 * power;
}

Axis percent_axis(double most_share) { return axis_from_zero(most_share, 0.01, "%"); }

Axis bytes_axis(double most_bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double unit = 1;
  std::size_t name = 0;
  for (; most_bytes >= 1024 * unit && name + 1 < kUnits.size(); ++name) unit *= 1024;
  return axis_from_zero(most_bytes, unit, kUnits[name]);
}

Axis seconds_axis(double most_seconds) {
  return most_seconds < 1 ? axis_from_zero(most_seconds, 0.001, "ms") : axis_from_zero(most_seconds, 1, "seconds");
}

Axis length_axis(const std::vector<double>& lengths) {
  constexpr double kFarApart = 6;  // longest over shortest: where linear ticks of doubled lengths would touch
  Axis axis;
  axis.unit = "tokens";
  if (lengths.size() == 1) {
    axis.ticks = {{0, ""}, {lengths[0], format_count(std::llround(lengths[0]))}, {2 * lengths[0], ""}};
    return axis;
  }
  axis.logarithmic = lengths.back() > kFarApart * lengths.front();
  if (!axis.logarithmic) axis.ticks.push_back({0, "0"});
  for (const double length : lengths) axis.ticks.push_back({length, format_count(std::llround(length))});
  return axis;
}

std::vector<double> spread(const std::vector<double>& wanted, double gap, double low, double high) {
  std::vector<std::size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  std::vector<double> places(wanted.size());
  double least = low;
  for (const std::size_t i : order) {
    places[i] = std::max(wanted[i], least);
    least = places[i] + gap;
  }
  double most = high;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    places[*i] = std::min(places[*i], most);
    most = places[*i] - gap;
  }
  return places;
}

}  // namespace tca::cli::html
