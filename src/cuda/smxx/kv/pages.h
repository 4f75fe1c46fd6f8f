#pragma once

#include <cuda_runtime.h>

#include "cuda/params.h"

namespace tca::cuda {

/// Copies the kept tokens of a segment to compact rows.
struct CompactArgs {
  const void* k;  // [L, Hk, d]
  const void* v;
  std::int64_t k_token_stride, v_token_stride;
  KeptBits kept;
  std::int32_t num_tokens, num_kv_heads, head_dim;
  void* out_k;  // rows of CompactRows
  void* out_v;
  const std::int64_t* base;  // [Hk] first row of each head; -1: the head keeps everything and is read in place
  const std::int32_t* past;  // [Hk] rows of the past already there, or null
};
/// Rows past[h] + i of head h = the i-th kept token; zeros up to the next multiple of 128.
cudaError_t compact(const CompactArgs& args, cudaStream_t stream);

/// Reads pages back into compact rows [0, length) of each head of sequence `sequence`.
cudaError_t gather_pages(const PagedLayer& layer, std::int32_t sequence, const CompactArgs& rows, cudaStream_t stream);

/// Tokens of a segment to pages: row tokens[i] of each head to slot slots[i]. A slot is page * 64 + place.
struct WriteArgs {
  const void* k;  // [L, Hk, d]
  const void* v;
  std::int64_t k_token_stride, k_head_stride, v_token_stride, v_head_stride;
  void* pool;
  const std::int32_t* tokens;  // [count] on the device
  const std::int32_t* heads;   // [count]
  const std::int64_t* slots;   // [count]
  std::int64_t count;
  std::int32_t head_dim;
};
cudaError_t write_tokens(const WriteArgs& args, cudaStream_t stream);

/// The last n tokens of every sequence (decode), counted in its lengths already: k, v [num_sequences, n, Hk, d].
cudaError_t append(const PagedLayer& layer, const void* k, const void* v, std::int64_t k_stride, std::int64_t v_stride,
                   std::int32_t n, cudaStream_t stream);

}  // namespace tca::cuda
