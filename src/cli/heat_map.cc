#include "cli/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace tca::cli {

namespace {

constexpr std::size_t kLabel = 4;    // "  7 " in front of a row
constexpr std::size_t kMapGap = 3;   // columns between maps
constexpr std::size_t kPercent = 4;  // " 37 ", " 100"
constexpr std::size_t kTenths = 1;   // a digit

// Grounds of the 256-colour palette from "drops all" to "keeps all": dark blue, violet, red, orange, yellow.
constexpr std::array<int, 8> kGrounds = {17, 54, 90, 125, 161, 202, 214, 226};
constexpr std::size_t kFirstBright = 5;  // from here on black text reads better than white
constexpr int kBlack = 16, kWhite = 231;

std::string cell(double share, std::size_t columns, const Style& style) {
  share = std::clamp(share, 0.0, 1.0);
  std::string text;
  if (columns == kPercent) {
    text = fmt::format("{:>3} ", std::lround(share * 100));
    if (share > 0 && share < 0.005) text = " <1 ";
  } else {
    text = fmt::format("{}", std::min(9, static_cast<int>(share * 10)));
  }
  // A square root spreads the low shares, where most heads are.
  const auto ground =
      std::min(kGrounds.size() - 1, static_cast<std::size_t>(std::sqrt(share) * static_cast<double>(kGrounds.size())));
  return style.on(ground >= kFirstBright ? kBlack : kWhite, kGrounds[ground], text);
}

// The lines of one map: title, head numbers, one line a layer. All have the same width.
std::vector<std::string> map_lines(const HeatMap& map, const Style& style, std::size_t max_width,
                                   std::size_t* map_width) {
  const std::size_t heads = map.shares.empty() ? 0 : map.shares.front().size();
  const std::size_t columns = kLabel + heads * kPercent <= max_width ? kPercent : kTenths;
  const std::size_t width = std::max(kLabel + heads * columns, display_width(map.title));
  std::vector<std::string> lines = {pad(map.title, width)};
  if (columns == kPercent) {
    std::string numbers(kLabel, ' ');
    for (std::size_t h = 0; h < heads; ++h) numbers += fmt::format("{:>3} ", h);
    lines.push_back(style.dim(pad(numbers, width)));
  }
  for (std::size_t layer = 0; layer < map.shares.size(); ++layer) {
    std::string line = style.dim(fmt::format("{:>3} ", layer));
    for (const double share : map.shares[layer]) line += cell(share, columns, style);
    lines.push_back(line + std::string(width - kLabel - map.shares[layer].size() * columns, ' '));
  }
  *map_width = width;
  return lines;
}

}  // namespace

std::string render_heat_maps(const std::vector<HeatMap>& maps, const Style& style) {
  const std::size_t max_width = style.width();
  std::string text;
  std::vector<std::string> row;  // lines of the maps that stand side by side
  std::size_t row_width = 0;
  const auto flush = [&] {
    for (std::string& line : row) {
      while (line.ends_with(' ')) line.pop_back();
      text += line + "\n";
    }
    row.clear();
    row_width = 0;
  };
  for (const HeatMap& map : maps) {
    std::size_t width = 0;
    const std::vector<std::string> lines = map_lines(map, style, max_width, &width);
    const bool fits = !row.empty() && row.size() == lines.size() && row_width + kMapGap + width <= max_width;
    if (!fits && !row.empty()) {
      flush();
      text += "\n";
    }
    if (row.empty()) {
      row = lines;
      row_width = width;
      continue;
    }
    for (std::size_t i = 0; i < row.size(); ++i) row[i] += std::string(kMapGap, ' ') + lines[i];
    row_width += kMapGap + width;
  }
  flush();
  return text;
}

}  // namespace tca::cli
