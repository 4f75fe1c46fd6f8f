// Check of a kept set that came from outside.
#pragma once

#include <cstdint>
#include <string_view>

#include "tca/attention.h"

namespace tca {

/// Throws kInvalidArgument, with `name` in front of the field, unless the set is one of num_tokens tokens and
/// num_kv_heads heads, its offsets ascend from 0 to the number of positions, and positions ascend within a head.
void validate_kept_set(const KeptSet& set, std::int64_t num_tokens, std::int32_t num_kv_heads, std::string_view name);

}  // namespace tca
