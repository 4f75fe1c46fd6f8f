#pragma once

#include <cuda_runtime.h>

#include <cstdint>

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

/// Rows of the same tokens.
struct KeysAndValues {
  KeySource k, v;
};

/// Reads one layer of a sequence back into compact rows.
struct GatherArgs {
  const void* pool;  // as in PagedLayer
  PagedSequence sequence;
  std::int32_t num_pages;  // of the longest list
  std::int32_t num_kv_heads, head_dim;
  void* out_k;
  void* out_v;               // or null: keys alone
  const std::int64_t* base;  // [Hk] first row of each head
};
/// Rows base[h] + i of head h = slot i of its list; zeros up to the next multiple of 128.
cudaError_t gather_pages(const GatherArgs& args, cudaStream_t stream);

/// What one head takes of a segment: chosen tokens, then all from window_begin on, to slots first_slot on of its
/// pages.
struct HeadWrite {
  std::int64_t pages;   // its first entry in WriteArgs::pages
  std::int64_t chosen;  // its first entry in WriteArgs::chosen
  std::int32_t num_chosen, window_begin, count, first_slot;
};
struct WriteArgs {
  const void* k;  // [L, Hk, d], rows at multiples of 16 bytes
  const void* v;
  std::int64_t k_token_stride, k_head_stride, v_token_stride, v_head_stride;
  void* pool;
  const HeadWrite* heads;                            // [Hk] on the device
  const std::int32_t* pages;                         // page numbers
  const std::int32_t* chosen;                        // tokens
  std::int32_t num_kv_heads, most_tokens, head_dim;  // most_tokens: the largest count
};
cudaError_t write_tokens(const WriteArgs& args, cudaStream_t stream);

/// Moves tokens from slot to slot; a slot is page * 64 + place. Every source is read before a slot is written.
struct MoveArgs {
  void* pool;
  const std::int64_t* from;  // [count] on the device
  const std::int64_t* to;    // [count]
  std::int32_t count, head_dim;
  void* rows;  // [count, 2, d] scratch
};
cudaError_t move_tokens(const MoveArgs& args, cudaStream_t stream);

}  // namespace tca::cuda
