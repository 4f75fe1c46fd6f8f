// Arguments of the CUDA kernels: POD, raw device pointers, shapes in comments. L tokens, Hq query heads, Hk KV heads,
// g = Hq / Hk, d = head_dim; bf16 or fp16 throughout. All strides count elements.
#pragma once

#include <cstdint>

namespace tca::cuda {

/// Keys (or values) of all KV heads: row r of head h lies at data + (base ? base[h] : h * head_stride) + r *
/// row_stride, base in elements.
struct KeySource {
  const void* data;
  const std::int64_t* base;  // [Hk] on the device, or null
  std::int64_t head_stride;
  std::int64_t row_stride;
  const std::int32_t* counts;  // [Hk] rows of each head on the device, or null: num_rows for all
  std::int32_t num_rows;       // the largest count
};

/// What select() leaves on the device for one segment. One bit a token, so that "kept tokens before here" is one prefix
/// and one popcount.
struct KeptBits {
  const std::uint64_t* bits;   // [Hk, num_words], bit t % 64 of word t / 64: token t is kept
  const std::int32_t* prefix;  // [Hk, num_words + 1], kept tokens before word w; the last entry is the head's count
  const std::int32_t* order;   // [Hk] KV heads by count, descending: the schedule of prefill
  std::int32_t num_words;      // ceil(L / 64)
};

/// Rows every query sees or sees by prefix: the past first, then the kept tokens of the segment, compacted per head.
struct CompactRows {
  const void* k;             // [num_rows, d]; rows after a head's last one are zero up to the next multiple of 128
  const void* v;             // the same
  const std::int64_t* base;  // [Hk] first row of each head, a multiple of 128
  const std::int32_t* past;  // [Hk] rows of the past, or null
  std::int64_t num_rows;     // of all heads together
};

/// A page holds 64 tokens of one KV head: K [64, d] then V [64, d], 16-byte chunks permuted by SwizzledRows so that a
/// page copied to shared memory as it is can be read by ldmatrix without bank conflicts.
inline constexpr int kPageSize = 64;

/// One layer of one sequence's cache, on the device.
struct PagedSequence {
  const std::int32_t* table;    // [Hk, max_pages] page numbers
  const std::int32_t* lengths;  // [Hk] tokens held
  std::int32_t max_pages;
};

/// One layer of a batch of sequences.
struct PagedLayer {
  void* pool;                      // page p starts at pool + p * 2 * 64 * d elements
  const PagedSequence* sequences;  // [num_sequences] on the device
  std::int32_t num_sequences, num_kv_heads, head_dim;
};

struct PrefillArgs {
  const void* q;     // [L - query_begin, Hq, d]
  const void* k;     // [L, Hk, d]
  const void* v;     // [L, Hk, d]
  void* out;         // [L - query_begin, Hq, d]; may be the memory of q
  float* lse;        // [L - query_begin, Hq] or null
  KeptBits kept;     // bits null: dense over the segment
  CompactRows rows;  // k null: neither past nor kept tokens
  std::int64_t q_token_stride, k_token_stride, v_token_stride, out_token_stride;
  std::int32_t query_begin;  // row r of q, out and lse is token query_begin + r of the segment
  std::int32_t num_tokens, num_heads, num_kv_heads, head_dim;
  std::int32_t window;  // at most num_tokens, which is what dense attention has
  float scale;
};

}  // namespace tca::cuda
