#include "core/kept_set.h"

#include <algorithm>

#include "core/check.h"

namespace tca {

void validate_kept_set(const KeptSet& set, std::int64_t num_tokens, std::int32_t num_kv_heads, std::string_view name) {
  check_argument(set.num_tokens == num_tokens, name, ".num_tokens is ", set.num_tokens, "; the segment has ",
                 num_tokens);
  check_argument(set.num_kv_heads() == num_kv_heads, name, ".offsets has ", set.offsets.size(), " entries; ",
                 num_kv_heads, " KV heads need ", std::int64_t{num_kv_heads} + 1);
  check_argument(set.offsets.front() == 0, name, ".offsets[0] is ", set.offsets.front(), "; expected 0");
  check_argument(set.offsets.back() == static_cast<std::int64_t>(set.positions.size()), name, ".offsets ends at ",
                 set.offsets.back(), "; there are ", set.positions.size(), " positions");
  const auto fall = std::is_sorted_until(set.offsets.begin(), set.offsets.end());
  check_argument(fall == set.offsets.end(), name, ".offsets falls to ", fall == set.offsets.end() ? 0 : *fall,
                 "; expected ascending numbers");
  for (std::int32_t h = 0; h < num_kv_heads; ++h) {
    std::int64_t before = -1;
    for (const std::int32_t position : set.head(h)) {
      check_argument(position > before && position < num_tokens, name, ".positions of head ", h, " has ", position,
                     " after ", before, "; expected ascending positions in [0, ", num_tokens, ")");
      before = position;
    }
  }
}

}  // namespace tca
