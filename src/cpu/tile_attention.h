// One worker's engine: takes a tile of query rows of one KV head through a plan of keys.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "cpu/aligned_buffer.h"
#include "cpu/kernels.h"
#include "cpu/key_plan.h"
#include "tca/tensor.h"

namespace tca::cpu {

/// Query rows come in multiples of this, which is a multiple of every target's block.
inline constexpr std::int32_t kRowStep = 192;

constexpr std::int32_t max_query_rows(const TileKernels& kernels, std::int32_t head_dim) {
  return kernels.max_rows * 128 / std::max(128, head_dim) / kRowStep * kRowStep;
}

/// Tiles of keys that a block of rows goes through at a time: results are read and written once for all of them, and
/// the packed tiles (128 KiB in bf16 with head_dim 128) stay in L2.
inline constexpr std::int32_t kChunkTiles = 4;

/// Rows [first, first + count) of a KV head, counted token by token, and within a token query head by query head.
struct QueryRows {
  const TensorView* q = nullptr;
  std::int32_t kv_head = 0;
  std::int32_t group = 1;  // query heads of a KV head
  std::int64_t first = 0;
  std::int32_t count = 0;  // in [1, max_query_rows()]
  /// Positions that visibility is judged by: of token t, token_positions[t], or first_position + t when empty.
  std::int64_t first_position = 0;
  std::span<const std::int32_t> token_positions;

  std::int64_t token(std::int32_t row) const { return (first + row) / group; }
  std::int32_t query_head(std::int32_t row) const {
    return kv_head * group + static_cast<std::int32_t>((first + row) % group);
  }
  std::int32_t position(std::int32_t row) const {
    const std::int64_t t = token(row);
    return token_positions.empty() ? static_cast<std::int32_t>(first_position + t)
                                   : token_positions[static_cast<std::size_t>(t)];
  }
};

/// Tiles [begin, end) of a plan.
struct TileRange {
  std::int32_t begin = 0;
  std::int32_t end = 0;
};

class TileAttention {
 public:
  TileAttention(const TileKernels& kernels, std::int32_t head_dim);

  /// Packs the rows and forgets all keys.
  void load(const QueryRows& rows);

  /// Attends to the tiles' keys; without values only the softmax denominators are kept. Throws kCancelled between tiles
  /// once *cancel is true (cancel may be null).
  void attend(const KeyPlan& plan, TileRange range, float scale, bool values, const std::atomic<bool>* cancel);
  /// Of exp(score * scale - lse): adds to columns[64 t + j], for the j-th key of the range's t-th tile, the sum over
  /// rows, or raises it to their maximum. lse is [n, Hq]; a row of -infinity gives nothing to any key. What was
  /// attended to is lost.
  void reduce_columns(const KeyPlan& plan, TileRange range, float scale, std::span<const float> lse,
                      ColumnReduce reduce, float* columns);

  /// Results of the loaded rows.
  void store(const MutableTensorView& out);
  void store_lse(float scale, std::span<float> lse) const;  // [n, Hq]

  /// What has been attended to so far, to be merged with other parts of the keys: state_floats() floats, 64-byte
  /// aligned.
  static std::size_t state_floats(const TileKernels& kernels, std::int32_t head_dim, std::int32_t rows, bool values);
  void save_state(bool values, float* state) const;
  /// Replaces what has been attended to by the merge of `count` states, `stride` floats apart, in this order.
  void merge_states(const float* states, std::size_t stride, std::int32_t count, bool values, float scale);

 private:
  struct Chunk {
    std::int32_t begin = 0, end = 0;  // tiles of the plan
  };
  std::int32_t num_blocks() const { return (rows_.count + kernels_->block_rows - 1) / kernels_->block_rows; }
  std::int32_t block_size(std::int32_t block) const;
  KeyTile& tile(std::int32_t t) { return tiles_[static_cast<std::size_t>(t % (2 * kChunkTiles))]; }
  const KeyTile& tile(std::int32_t t) const { return tiles_[static_cast<std::size_t>(t % (2 * kChunkTiles))]; }
  /// Of the t-th tile of the plan, while its chunk is in work.
  std::byte* packed(std::byte* tiles, std::int32_t t) const { return tiles + t % kChunkTiles * tile_bytes_; }
  void pack(const Chunk& chunk, bool values);
  void prefetch(const Chunk& next, std::int32_t part, std::int32_t parts, bool values);
  template <class Use>
  void for_each_chunk(const KeyPlan& plan, TileRange range, bool values, const std::atomic<bool>* cancel,
                      const Use& use);
  /// What a block sees of the t-th tile, at most span_keys keys of it.
  struct Span {
    std::int32_t t = 0;
    TileShape shape;
  };
  using Spans = std::array<Span, std::size_t{kChunkTiles} * kTileKeys / kMinSpanKeys>;
  std::span<const Span> spans_of(std::int32_t block, const Chunk& chunk, Spans& memory) const;
  /// Its scores, masked, in scores_ and span_max_.
  void score(std::int32_t block, const Span& span);
  void attend_block(std::int32_t block, const Chunk& chunk, float scale, bool values);
  std::size_t lse_index(std::int32_t row) const {
    return static_cast<std::size_t>(rows_.token(row) * rows_.q->num_heads + rows_.query_head(row));
  }

  const TileKernels* kernels_;
  std::int32_t head_dim_;
  std::size_t query_bytes_;  // of a packed block
  std::size_t tile_bytes_;   // of a packed tile
  std::size_t out_floats_;   // of a block's result
  QueryRows rows_;
  std::array<KeyTile, std::size_t{2} * kChunkTiles> tiles_;  // of the chunk in work and the next

  AlignedBuffer memory_;
  std::byte *queries_ = nullptr, *keys_ = nullptr, *values_ = nullptr, *weights_ = nullptr;
  float* out_ = nullptr;                                            // [blocks][head_dim][R]
  float *scores_ = nullptr, *span_max_ = nullptr;                   // [span_keys][R], [R]
  float *max_ = nullptr, *sum_ = nullptr;                           // [blocks][R]
  float *factors_ = nullptr, *pending_factors_ = nullptr;           // [R]
  std::int32_t *positions_ = nullptr, *block_positions_ = nullptr;  // [blocks][R]; [blocks][2]: first, last
};

}  // namespace tca::cpu
