// What a profile or a session keeps, by layer and KV head, as a map in the terminal.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"

namespace tca::cli {

struct HeatMap {
  std::string title;
  std::vector<std::vector<double>> shares;  // [layers][heads], each in [0, 1]
};

/// Percent kept in every cell on a ground from dark to bright; without colour the numbers alone. Maps with more heads
/// than fit show tenths, one digit a head. Maps stand side by side as long as they fit in the width.
std::string render_heat_maps(const std::vector<HeatMap>& maps, const Style& style);

}  // namespace tca::cli
