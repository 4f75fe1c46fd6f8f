// What a read changes of a session.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/engine/probe_rings.h"
#include "tca/kv_cache.h"
#include "tca/profile.h"

namespace tca::runtime {

using LayerShares = std::vector<std::vector<BlockShares>>;  // [num_layers][num_kv_heads]

/// A read of several tokens works on a fork, which shares the pages of the past, and takes the original's place only
/// when nothing failed.
struct SessionState {
  KvCache cache;
  std::vector<std::int32_t> tokens;
  ProbeRings probes;  // none without a profile
  // From the profile, made richer by --tolerance for the rest of the sequence; empty without a profile.
  LayerShares keep;
  LayerShares attend;

  /// The list of ids stays behind: it only grows when the read is over.
  SessionState fork() const { return {cache.fork(), {}, probes.copy(), keep, attend}; }
};

}  // namespace tca::runtime
