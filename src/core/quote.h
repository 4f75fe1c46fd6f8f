// What files name, as messages show it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tca {

/// Names come from files, so they are shortened, and escaped to print on one line.
std::string quoted_name(const std::string& name);
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace tca
