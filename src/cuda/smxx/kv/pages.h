#pragma once

#include <cuda_runtime.h>

#include "cuda/params.h"

namespace tca::cuda {

/// A page holds 64 tokens of one KV head: K [64, d] then V [64, d], 16-byte chunks permuted by SwizzledRows so that a
/// page copied to shared memory as it is can be read by ldmatrix without bank conflicts.
inline constexpr int kPageTokens = 64;

/// The pages of one layer of a batch of sequences, on the device.
struct PagedLayer {
  void* pool;                      // page p starts at pool + p * 2 * 64 * d elements
  const std::int32_t* page_table;  // [num_sequences, Hk, max_pages] page numbers
  std::int32_t* lengths;           // [num_sequences, Hk] tokens held
  std::int32_t max_pages;
  std::int32_t num_sequences, num_kv_heads, head_dim;
};

/// Copies the kept tokens of a segment (bits) and its last `window` tokens to compact rows, or straight to pages.
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

/// Appends to sequence `sequence`: the kept tokens and the last `window` ones of a segment (kept.bits null: all of it);
/// lengths grow.
struct StoreArgs {
  const void* k;  // [L, Hk, d]
  const void* v;
  std::int64_t k_token_stride, v_token_stride;
  KeptBits kept;
  std::int32_t num_tokens, window;
};
cudaError_t store(const PagedLayer& layer, std::int32_t sequence, const StoreArgs& args, cudaStream_t stream);

/// Appends n tokens a sequence (decode): k, v [num_sequences, n, Hk, d]; lengths grow by n.
cudaError_t append(const PagedLayer& layer, const void* k, const void* v, std::int64_t k_stride, std::int64_t v_stride,
                   std::int32_t n, cudaStream_t stream);

}  // namespace tca::cuda
