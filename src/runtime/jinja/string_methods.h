// What string methods and filters share.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

/// str.strip: which ends, and the characters to take away; nullptr for white space.
Text strip(Rendering& rendering, const Text& text, const Text* characters, bool left = true, bool right = true);
/// str.replace; a negative count is no limit.
Text replace(Rendering& rendering, const Text& text, const Text& old_text, const Text& new_text,
             std::int64_t count = -1);
/// str.splitlines
std::vector<Text> split_lines(Rendering& rendering, const Text& text, bool keeps_ends);
/// In the middle of width characters, as str.center.
Text center(Rendering& rendering, const Text& text, std::int64_t width, const std::string& fill = " ");

}  // namespace tca::runtime::jinja
