#include "core/kept_set.h"

#include <algorithm>

#include "core/check.h"

namespace tca {

void validate_kept_set(const KeptSet& set, std::int64_t num_tokens, std::int32_t num_kv_heads, std::string_view name) {
  check_argument(set.num_tokens == num_tokens, name, ".num_tokens is ", set.num_tokens, "; the segment has ",
                 num_tokens);
  check_argument(set.num_kv_heads() == num_kv_heads, name, ".offsets has ", set.offsets.size(), " entries; ",
                 num_kv_heads, " KV heads need ", num_kv_heads + 1);
  const auto size = static_cast<std::int64_t>(set.positions.size());
  const bool ends = set.offsets.front() == 0 && set.offsets.back() == size;
  check_argument(ends && std::is_sorted(set.offsets.begin(), set.offsets.end()), name,
                 ".offsets must ascend from 0 to the number of positions, ", size);
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
