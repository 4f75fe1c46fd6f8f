#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/params.h"

namespace tca::cuda {

/// Attention probability that recent queries gave to tokens of one head's tail (tca::TailScoreParams).
struct TailItem {
  const void* q;     // [P, Hq, d]
  const float* lse;  // [P, Hq]
  std::int64_t q_token_stride;
  const std::int32_t* table;  // page numbers of the head's list
  const void* pool;
  float* out;                                                                           // [count]
  std::int32_t first_slot, count, num_queries, num_heads, first_head, group, head_dim;  // query heads first_head on
  float scale;
  bool is_bf16;
};
/// One launch for any number of items (on the device); most_tokens: the largest count.
cudaError_t tail_scores(const TailItem* items, std::int32_t num_items, std::int32_t most_tokens, cudaStream_t stream);

}  // namespace tca::cuda
