// Old tokens of the KV cache's tail leave when the local window has moved past them by a whole block.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/engine/probe_rings.h"
#include "tca/backend.h"

namespace tca::runtime {

/// One layer's tails.
struct ThinParams {
  KvCache* cache = nullptr;
  std::int32_t layer = 0;
  std::span<const BlockShares> shares;  // [Hk]: a block keeps the head's expected number of tokens
  SelectionRule rule;
  const ProbeRings* probes = nullptr;
  /// The window is given up too: a segment with a window of its own follows.
  bool whole_tail = false;
};

/// Per head, while its tail has at least window + block_size tokens: of the oldest block the tokens that the probes
/// look at most stay (ties: the lower position), and the sequence's first `sinks` tokens in any case. All layers are
/// scored in one call of the backend. kOutOfBudget (pages that forks share must be copied) leaves the heads that were
/// not reached with their tails, to be thinned by a later call.
void thin_tails(const Backend& backend, std::span<const ThinParams> layers);

}  // namespace tca::runtime
