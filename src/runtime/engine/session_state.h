// What a read changes of a session.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/engine/probe_rings.h"
#include "tca/kv_cache.h"
#include "tca/profile.h"

namespace tca::runtime {

using LayerShares = std::vector<std::vector<BlockShares>>;  // [num_layers][num_kv_heads]

/// What every head keeps of what is read next; all empty without a profile.
struct HeadShares {
  LayerShares keep;
  LayerShares attend;                              // empty: prefill computes over everything
  std::vector<std::vector<std::int32_t>> windows;  // [num_layers][num_kv_heads] as in SelectParams; empty: the rule's
};

/// A read of several tokens works on a fork, which shares the pages of the past, and takes the original's place only
/// when nothing failed.
struct SessionState {
  KvCache cache;
  std::vector<std::int32_t> tokens;
  ProbeRings probes;  // none without a profile
  HeadShares shares;  // from the profile, made richer by --tolerance for the rest of the sequence

  /// The list of ids stays behind: it only grows when the read is over.
  SessionState fork() const { return {cache.fork(), {}, probes.copy(), shares}; }
};

}  // namespace tca::runtime
