#include "core/quote.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/check.h"

namespace tca {

std::string quoted_name(const std::string& name) {
  constexpr std::size_t kShown = 100;
  const std::string shown = name.size() > kShown ? name.substr(0, kShown) + "..." : name;
  return nlohmann::json(shown).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  constexpr std::size_t kShown = 8;
  std::string out = "[";
  for (std::size_t i = 0; i < std::min(shape.size(), kShown); ++i) out += text(i == 0 ? "" : ", ", shape[i]);
  return out + (shape.size() > kShown ? ", ...]" : "]");
}

}  // namespace tca
