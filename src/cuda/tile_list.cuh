// Which keys a tile of queries visits: the window segment of the dense K/V, then the prefix of the compacted rows.
#pragma once

#include "cuda/params.h"

namespace tca::cuda {

/// Which key tiles one query tile visits, masked ones first. Both sides of the pipeline derive the same list.
struct TileList {
  int window_begin;                 // first token of the window segment
  int window_tiles, window_masked;  // masked: those at the end (diagonal); for a finite window all of them
  int kept_tiles, kept_masked;      // masked: the end of the prefix, where rows see different counts

  __device__ int size() const { return window_tiles + kept_tiles; }
  __device__ int num_masked() const { return window_masked + kept_masked; }
  /// Tile `index` of the walk: its number in the segment; is_kept says which segment.
  __device__ int tile(int index, bool& is_kept) const {
    is_kept = false;
    if (index < window_masked) return window_tiles - 1 - index;
    index -= window_masked;
    if (index < kept_masked) return is_kept = true, kept_tiles - 1 - index;
    index -= kept_masked;
    if (index < window_tiles - window_masked) return window_tiles - window_masked - 1 - index;
    index -= window_tiles - window_masked;
    return is_kept = true, kept_tiles - kept_masked - 1 - index;
  }
};

/// Compacted rows of a head that a query at `end - 1 + window` sees by prefix: all of the past, and kept tokens before
/// `end`.
__device__ __forceinline__ int rows_before(const PrefillArgs& a, int kv_head, int end) {
  int count = a.rows.past != nullptr ? a.rows.past[kv_head] : 0;
  if (a.kept.bits == nullptr || end <= 0) return count;
  const int word = end >> 6, bit = end & 63;
  const std::int64_t head = kv_head;
  count += a.kept.prefix[head * (a.kept.num_words + 1) + word];
  if (bit != 0) count += __popcll(a.kept.bits[head * a.kept.num_words + word] & ((1ull << bit) - 1));
  return count;
}

/// A head that keeps every token reads the dense K and V instead of a copy of them.
__device__ __forceinline__ int effective_window(const PrefillArgs& a, int kv_head) {
  if (a.kept.bits == nullptr) return a.num_tokens;
  const std::int64_t head = kv_head;
  return a.kept.prefix[head * (a.kept.num_words + 1) + a.kept.num_words] == a.num_tokens ? a.num_tokens : a.window;
}

template <int kRows, int kKeys>
__device__ __forceinline__ TileList make_tile_list(const PrefillArgs& a, int kv_head, int row0, int window) {
  const int last = min(row0 + kRows, a.num_tokens) - 1;
  TileList t;
  t.window_begin = max(0, row0 - window + 1);
  t.window_tiles = (last - t.window_begin) / kKeys + 1;
  // Without a lower bound a tile is unmasked when its last key is at most row0. The walk begins with a masked tile, so
  // the last one counts as such even where a single row ends with it.
  t.window_masked = window >= a.num_tokens ? max(1, t.window_tiles - (row0 + 1) / kKeys) : t.window_tiles;
  const int shared_prefix = rows_before(a, kv_head, row0 - window + 1);
  const int longest_prefix = rows_before(a, kv_head, last - window + 1);
  t.kept_tiles = (longest_prefix + kKeys - 1) / kKeys;
  t.kept_masked = t.kept_tiles - shared_prefix / kKeys;
  return t;
}

/// What blockIdx.x works on; row0 is a token of the segment. Longest first: KV heads by kept count, tiles from the end;
/// the g heads of a group side by side share K and V in L2.
struct TileAssignment {
  int head, kv_head, row0;
};
template <int kRows>
__device__ __forceinline__ TileAssignment assign_tile(const PrefillArgs& a) {
  const int g = a.num_heads / a.num_kv_heads, tiles = (a.num_tokens - a.query_begin + kRows - 1) / kRows,
            block = blockIdx.x / g;
  const int kv_head = a.kept.bits != nullptr ? a.kept.order[block / tiles] : block / tiles;
  return {kv_head * g + static_cast<int>(blockIdx.x) % g, kv_head, a.query_begin + (tiles - 1 - block % tiles) * kRows};
}

}  // namespace tca::cuda
