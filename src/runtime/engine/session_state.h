// What a read changes of a session.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/engine/probe_rings.h"
#include "runtime/engine/selector.h"
#include "tca/kv_cache.h"

namespace tca::runtime {

/// A read of several tokens works on a fork, which shares the pages of the past, and takes the original's place only
/// when nothing failed.
struct SessionState {
  KvCache cache;
  std::vector<std::int32_t> tokens;
  ProbeRings probes;  // none without a selector
  HeadShares shares;  // from the selector, made richer by --tolerance for the rest of the sequence

  bool long_context = false;  // of the rotary embedding, since the first token

  /// The list of ids stays behind: it only grows when the read is over.
  SessionState fork() const { return {cache.fork(), {}, probes.copy(), shares, long_context}; }
};

}  // namespace tca::runtime
