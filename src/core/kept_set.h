// Kept sets that a device holds, and the check of those that came from outside.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tca/attention.h"

namespace tca {

/// A set where a backend has chosen it. Goes with the last KeptSet that shares it.
class KeptSource {
 public:
  virtual ~KeptSource() = default;
  /// Brings it to the host; waits for it. Called by one thread at a time, again only when it threw.
  virtual void fetch(std::vector<std::int64_t>& offsets, std::vector<std::int32_t>& positions) const = 0;
};

struct KeptSetAccess {
  static KeptSet make(std::int64_t num_tokens, std::int32_t num_kv_heads, std::shared_ptr<const KeptSource> source);
  /// Null for a set that was made from positions.
  static std::shared_ptr<const KeptSource> source(const KeptSet& set);
};

/// Throws kInvalidArgument, with `name` in front of the field, unless the set is one of num_tokens tokens and
/// num_kv_heads heads, its offsets ascend from 0 to the number of positions, and positions ascend within a head. Does
/// not wait: what a backend chose is as it should be.
void validate_kept_set(const KeptSet& set, std::int64_t num_tokens, std::int32_t num_kv_heads, std::string_view name);

}  // namespace tca
