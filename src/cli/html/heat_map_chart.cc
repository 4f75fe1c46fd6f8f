#include "cli/html/heat_map_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cli/format.h"
#include "cli/html/chart.h"

namespace tca::cli::html {
namespace {

constexpr int kGrounds = 8;               // classes h0 to h7
constexpr std::size_t kMostNumbered = 8;  // heads whose numbers fit on a phone
constexpr double kRow = 18, kLabels = 40, kTop = 36;

// A square root spreads the low shares, where most heads are.
int ground_of(double share) {
  return std::min(kGrounds - 1, static_cast<int>(std::sqrt(std::clamp(share, 0.0, 1.0)) * kGrounds));
}

std::string percent(double share) {
  return share > 0 && share < 0.005 ? "<1" : fmt::format("{}", std::lround(std::clamp(share, 0.0, 1.0) * 100));
}

Markup ground(double x, double y, double width, int number, const Markup& inner) {
  return element("rect",
                 {{"x", px(x)},
                  {"y", px(y)},
                  {"width", px(width)},
                  {"height", px(kRow - 1)},
                  {"class", fmt::format("h{}", number)}},
                 inner);
}

Markup cell(double x, double y, double width, double share, bool numbered, const std::string& name) {
  if (!numbered) {
    return ground(x, y, width, ground_of(share), element("title", fmt::format("{}: {} %", name, percent(share))));
  }
  return ground(x, y, width, ground_of(share), Markup()) + svg_text(x + width / 2, y + kRow / 2 + 3.5, Anchor::kMiddle,
                                                                    fmt::format("on{}", ground_of(share)).c_str(),
                                                                    percent(share));
}

double mean_share(const HeatMap& map) {
  double sum = 0, cells = 0;
  for (const auto& layer : map.shares) {
    sum = std::accumulate(layer.begin(), layer.end(), sum);
    cells += static_cast<double>(layer.size());
  }
  return cells > 0 ? sum / cells : 0;
}

}  // namespace

Markup heat_map_chart(const HeatMap& map) {
  const std::size_t heads = map.shares.empty() ? 0 : map.shares.front().size();
  const bool numbered = heads <= kMostNumbered;
  const double column = numbered ? 36 : 16;
  Markup in = svg_text(kLabels, 12, Anchor::kStart, "label", "KV head");
  in += svg_text(kLabels - 6, kTop - 7, Anchor::kEnd, "label", "layer");
  for (std::size_t h = 0; h < heads; ++h) {
    // Two digits fit above every second of the narrow columns.
    if (!numbered && h % 2 == 1) continue;
    in += svg_text(kLabels + (static_cast<double>(h) + 0.5) * column, kTop - 7, Anchor::kMiddle, "tick",
                   fmt::format("{}", h));
  }
  for (std::size_t layer = 0; layer < map.shares.size(); ++layer) {
    const double y = kTop + kRow * static_cast<double>(layer);
    in += svg_text(kLabels - 6, y + kRow / 2 + 3.5, Anchor::kEnd, "tick", fmt::format("{}", layer));
    for (std::size_t h = 0; h < map.shares[layer].size(); ++h) {
      in += cell(kLabels + static_cast<double>(h) * column, y, column - 1, map.shares[layer][h], numbered,
                 fmt::format("layer {}, KV head {}", layer, h));
    }
  }
  const std::string description =
      fmt::format("Heat map of {}: percent of the tokens kept by {} and {}; {} on average", map.title,
                  counted(std::ssize(map.shares), "layer"), counted(static_cast<std::int64_t>(heads), "KV head"),
                  format_percent(mean_share(map)));
  const double width = std::max(kLabels + static_cast<double>(heads) * column, 100.0);
  return figure(map.title, description, width, kTop + kRow * static_cast<double>(map.shares.size()), in);
}

Markup heat_map_scale() {
  constexpr double kStep = 36;
  Markup in;
  for (int i = 0; i < kGrounds; ++i) {
    const double x = kStep * i, from = static_cast<double>(i) / kGrounds;
    in += ground(x, 0, kStep, i, Markup());
    in += svg_text(x, 32, i == 0 ? Anchor::kStart : Anchor::kMiddle, "tick", fmt::format("{:.0f}", from * from * 100));
  }
  in += svg_text(kStep * kGrounds, 32, Anchor::kEnd, "tick", "100");
  return figure("Percent of the tokens kept",
                "Scale of the heat maps' colours: percent of the tokens kept, from 0 to 100", kStep * kGrounds, 36, in);
}

}  // namespace tca::cli::html
