// What a profile keeps, by layer and KV head, as pictures.
#pragma once

#include "cli/heat_map.h"
#include "cli/html/markup.h"

namespace tca::cli::html {

/// Percent in every cell, layers down and KV heads across; of many heads the colour alone, with the number for a
/// pointer.
Markup heat_map_chart(const HeatMap& map);
/// What the colours of the maps stand for.
Markup heat_map_scale();

}  // namespace tca::cli::html
