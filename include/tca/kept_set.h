// Which tokens of a segment are kept.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tca/version.h"

namespace tca {

/// Core tokens of a segment, ragged per KV head: positions in [0, num_tokens), ascending within a head. Sinks are
/// included, the local window is not unless chosen. Immutable, so copies share what they hold. Thread-safe.
///
/// A set that a GPU chose stays there. Functions that say so wait when positions are first asked for: until they are
/// chosen and have arrived, not for work that was queued behind that.
class TCA_API KeptSet {
 public:
  KeptSet();  // of no tokens and no head
  /// offsets [Hk + 1] into positions. Checked by the operations that take it.
  KeptSet(std::int64_t num_tokens, std::vector<std::int64_t> offsets, std::vector<std::int32_t> positions);

  std::int64_t num_tokens() const noexcept;
  std::int32_t num_kv_heads() const noexcept;
  const std::vector<std::int64_t>& offsets() const;                // [Hk + 1]; waits
  const std::vector<std::int32_t>& positions() const;              // [offsets.back()]; waits
  std::span<const std::int32_t> head(std::int32_t kv_head) const;  // waits
  bool operator==(const KeptSet& other) const;                     // waits

 private:
  friend struct KeptSetAccess;
  struct State;
  explicit KeptSet(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

}  // namespace tca
