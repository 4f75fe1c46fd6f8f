// How much attention mass sampled rows would lose under every candidate configuration, from one softmax a row.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/memory.h"
#include "tca/backend.h"
#include "tca/profile.h"

namespace tca::calibration {

/// What selection would do with one KV head's scores, for all shares at once: see SelectParams for the rule.
struct TokenRanks {
  std::vector<std::int32_t> order;  // block indices, richest first
  std::vector<std::uint8_t> level;  // [tokens] in share indices: kept where the block's share index is larger
};
TokenRanks rank_tokens(std::span<const float> scores, const SelectionRule& rule);

/// The share index (0: keeps none, 1 + i: keeps 2^i) of every block, by block.
std::vector<std::uint8_t> allocate_shares(const BlockShares& shares, std::span<const std::int32_t> order);

struct DroppedMassParams {
  TensorView q;                        // [L, Hq, d] of a whole sequence
  TensorView k;                        // [L, Hk, d]
  std::int64_t document_tokens = 0;    // tokens are chosen among the first this many, as at the end of a prompt of them
  std::span<const std::int32_t> rows;  // [R] positions of the sampled queries
  SelectionRule rule;
  std::span<const BlockShares> candidates;
  /// Of q and k. The backend scores them there; sampled rows and keys that the host cannot read are copied to it, which
  /// is little beside what it then computes: a row's softmax over all of its keys.
  Memory* memory = &host_memory();
};

/// [Hk][candidates][R * g], rows outer, query heads inner: the mass each sampled query gives to tokens it would not
/// see. A query of the document sees what prefill shows it; a later one what the cache then holds: kept tokens, the
/// document's last `window`, and everything since.
std::vector<float> dropped_masses(const Backend& backend, ThreadPool& pool, const DroppedMassParams& params);

/// Of a set of dropped masses.
struct MassStatistics {
  double tail = 0;  // mean of the largest `tail` share of them, at least one
  double p95 = 0;   // nearest rank
  double mean = 0;
};
MassStatistics mass_statistics(std::span<const float> masses, double tail);

}  // namespace tca::calibration
