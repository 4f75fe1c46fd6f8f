#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/params.h"

namespace tca::cuda {

/// From raw importance to kept tokens: steps 1 (pool, normalise) to 4 of docs/algorithm.md, by the exact arithmetic of
/// tca::SelectParams.
struct ChooseArgs {
  const float* raw;  // [Hk, L] of probe()
  const std::int32_t*
      levels;  // [Hk, num_levels + 1]: the r-th richest block keeps block_size >> x for the x with levels[x] <= r <
               // levels[x + 1]; levels[0] = 0, from levels[num_levels] on blocks keep nothing
  std::int32_t num_kv_heads, num_tokens, block_size, num_levels, sinks, pool_width;
  std::int32_t num_rows;      // P g: raw is a sum over so many; 1 for a maximum
  bool simpson;               // else mass dispersion
  float* scores;              // [Hk, L] pooled, sum 1
  float* totals;              // [Hk, ceil(L / 256) + 1] partial sums
  double* keys;               // [2, Hk, num_blocks] sort keys in and out
  std::int32_t* blocks;       // [2, Hk, num_blocks] block numbers in and out
  std::int32_t* block_keeps;  // [Hk, num_blocks]
  std::int32_t* segments;     // [Hk + 1] offsets of the segmented sort
  void* sort_workspace;
  std::size_t sort_workspace_bytes;
  // Results
  std::uint64_t* bits;   // [Hk, ceil(L / 64)]
  std::int32_t* prefix;  // [Hk, ceil(L / 64) + 1]
  std::int32_t* order;   // [Hk]
};

std::size_t choose_sort_workspace_bytes(std::int32_t num_kv_heads, std::int32_t num_blocks);
/// Steps 2 to 4, or with scores_only no more than step 1.
cudaError_t choose(const ChooseArgs& args, bool scores_only, cudaStream_t stream);

/// From bits to prefixes and the order of heads, as in ChooseArgs.
cudaError_t count_kept(const std::uint64_t* bits, std::int32_t* prefix, std::int32_t* order, std::int32_t num_kv_heads,
                       std::int32_t num_tokens, cudaStream_t stream);

/// Kept bits of a set that came from outside.
struct MarkArgs {
  const std::int32_t* positions;  // of all heads, on the device
  const std::int64_t* offsets;    // [Hk + 1]
  std::int64_t num_positions;
  std::int32_t num_kv_heads, num_tokens, sinks;
  std::uint64_t* bits;  // as in ChooseArgs
  std::int32_t* prefix;
  std::int32_t* order;
};
cudaError_t mark(const MarkArgs& args, cudaStream_t stream);

}  // namespace tca::cuda
