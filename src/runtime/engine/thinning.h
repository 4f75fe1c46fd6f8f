// Old tokens of the KV cache's tail leave when the local window has moved past them by a whole block.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/engine/probe_ring.h"
#include "tca/backend.h"

namespace tca::runtime {

struct ThinParams {
  KvCache* cache = nullptr;
  std::int32_t layer = 0;
  std::span<const BlockShares> shares;  // [Hk]: a block keeps the head's expected number of tokens
  SelectionRule rule;
  const ProbeRing* probes = nullptr;
  /// The window is given up too: a segment with a window of its own follows.
  bool whole_tail = false;
};

/// Per head, while its tail has at least window + block_size tokens: of the oldest block the tokens that the probes
/// look at most stay (ties: the lower position), and the sequence's first `sinks` tokens in any case.
void thin_tails(const Backend& backend, const ThinParams& params);

}  // namespace tca::runtime
