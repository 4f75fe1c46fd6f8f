// The seam between the drivers (schedule, key lists, merging: plain C++, compiled once) and the instruction-set paths.
// A path fills these tables; drivers pick one when a backend is created and call it per block and tile, thousands of
// multiply-adds a call, so that no inner loop dispatches.
//
// Everything is transposed: query rows run along vector lanes and keys are broadcast. Softmax then needs no horizontal
// operation, K needs no transposition (a tile is its rows at a fixed stride), and only Q and the result, touched once a
// query tile, are turned around. The same layout suits tile units: K rows are their A operand, packed Q and the weights
// their B operand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tca/kv_cache.h"
#include "tca/tensor.h"

namespace tca::cpu {

inline constexpr std::int32_t kTileKeys = 64;     // keys of a tile: those of a cache page
inline constexpr std::int32_t kKeyStep = 8;       // keys go through registers in groups of at most this many
inline constexpr std::int32_t kHeadDimStep = 16;  // head_dim is a multiple: whole vectors on every target
inline constexpr std::int32_t kMaxHeadDim = 256;
inline constexpr std::int32_t kMaxBlockRows = 64;
inline constexpr std::int32_t kMinSpanKeys = 32;
inline constexpr std::size_t kAlignment = 64;  // of every buffer below: a cache line and the widest vector
static_assert(kTileKeys == kPageTokens);

/// The part of a block and a tile that is worked on.
struct TileShape {
  std::int32_t rows = 0;       // [0, rows) of a block; in [1, block_rows]
  std::int32_t first_key = 0;  // [first_key, end_key) of a tile; first_key is a multiple of kKeyStep
  std::int32_t end_key = 0;
  std::int32_t head_dim = 0;
};

/// Over the rows of a block.
enum class ColumnReduce { kSum, kMax };
inline float combine(ColumnReduce reduce, float a, float b) {
  return reduce == ColumnReduce::kSum ? a + b : a > b ? a : b;
}

/// A query at position i sees a key at position p when i - reach < p <= i - lag.
struct Visibility {
  std::int32_t reach = 0;
  std::int32_t lag = 0;
};

/// Score of row r and key j = q_r . k_j, unscaled; span_max[r] = their maximum. Keys that fill up the last group score
/// -infinity.
struct ScoreTask {
  const void* queries = nullptr;  // a packed block
  const void* keys = nullptr;     // a packed tile
  TileShape shape;
  float* scores = nullptr;
  float* span_max = nullptr;
};

/// Turns scores, as score() or mask() leave them, into weights 2^((score - max) * log2_scale) in the form accumulate()
/// wants, and brings max[r] and sum[r] up to date. max only rises when it falls behind by a factor of 2^8 in weight,
/// which makes that rare. Where any did, factors[r] is what the block's earlier result is to be multiplied with.
struct SoftmaxTask {
  TileShape shape;
  float log2_scale = 0;
  const float* scores = nullptr;
  const float* span_max = nullptr;
  void* weights = nullptr;
  float* max = nullptr;
  float* sum = nullptr;
  float* factors = nullptr;
};

/// A span of a tile whose weights wait to meet their values.
struct WeightedTile {
  const void* weights = nullptr;
  const void* values = nullptr;
  std::int32_t first_key = 0, end_key = 0;
};

/// Attention of many rows. A block is block_rows query rows (R below) of one KV head; the last block of a query tile
/// may hold fewer, the rest is then undefined but harmless. Scores and softmax are taken of span_keys keys at most,
/// from a multiple of that on, so that scores stay in L1: they are [R / score_rows][span_keys][score_rows].
struct TileKernels {
  std::int32_t block_rows = 0;  // at most kMaxBlockRows
  /// Query rows that go through the keys together, up to head_dim 128: so many that packing a tile of keys costs a few
  /// percent of using it, so few that rows, results and a chunk of tiles stay in L2. A multiple of block_rows.
  std::int32_t max_rows = 0;
  std::int32_t span_keys = 0;   // divides kTileKeys
  std::int32_t score_rows = 0;  // divides block_rows
  std::size_t (*query_block_bytes)(std::int32_t head_dim) = nullptr;
  std::size_t (*tile_bytes)(std::int32_t head_dim) = nullptr;  // of packed keys, and of packed values
  std::size_t weight_tile_bytes = 0;

  /// Called by a thread before and after it uses the rest, within a task: modes of the processor that others set, too.
  /// leave() takes what enter() returned. Null where there are none.
  unsigned (*enter)() = nullptr;
  void (*leave)(unsigned before) = nullptr;

  void (*pack_queries)(const void* const* rows, std::int32_t count, DType dtype, std::int32_t head_dim,
                       void* packed) = nullptr;
  void (*pack_keys)(const void* const* rows, std::int32_t count, DType dtype, std::int32_t head_dim,
                    void* packed) = nullptr;
  void (*pack_values)(const void* const* rows, std::int32_t count, DType dtype, std::int32_t head_dim,
                      void* packed) = nullptr;

  void (*score)(const ScoreTask& task) = nullptr;
  /// Sets scores of keys that a row does not see to -infinity and takes span_max again.
  void (*mask)(const std::int32_t* row_positions, const std::int32_t* key_positions, const Visibility& visibility,
               const TileShape& shape, float* scores, float* span_max) = nullptr;
  /// Returns whether any maximum rose.
  bool (*softmax)(const SoftmaxTask& task) = nullptr;
  /// out[c][r] = out[c][r] * factors[r] + sum over the tiles' keys j of weights[j][r] * v[j][c]. Null factors are ones.
  /// out is [head_dim][R]; of shape, rows and head_dim count.
  void (*accumulate)(std::span<const WeightedTile> tiles, const TileShape& shape, const float* factors,
                     float* out) = nullptr;
  /// out[j] = sum or maximum over rows of exp(scores[j][r] * scale - lse[r]); lse has +infinity for rows beyond the
  /// block's.
  void (*reduce_columns)(const float* scores, const TileShape& shape, float scale, const float* lse,
                         ColumnReduce reduce, float* out) = nullptr;
  /// rows[r][c] = out[c][r] * factors[r] in dtype.
  void (*store_rows)(const float* out, const float* factors, const TileShape& shape, DType dtype,
                     void* const* rows) = nullptr;
};

inline constexpr std::int32_t kMaxFewRows = 8;

/// Attention of few rows (decode), which is bound by memory: keys and values are read once from their page and widened
/// in registers.
struct RowKernels {
  std::size_t (*query_bytes)(std::int32_t head_dim) = nullptr;  // of a packed query, a multiple of kAlignment
  void (*pack_query)(const void* row, DType dtype, std::int32_t head_dim, void* packed) = nullptr;
  /// Packed queries lie side by side. Row r sees the first visible[r] slots of the page. next is what will be asked for
  /// next, to be fetched meanwhile (any page). max, sum: [rows]; out: [rows][head_dim].
  void (*attend_page)(const void* queries, std::int32_t rows, std::int32_t head_dim, const KvPageView& page,
                      const KvPageView& next, DType dtype, const std::int32_t* visible, float log2_scale, float* max,
                      float* sum, float* out) = nullptr;
  /// ||row||^2
  float (*squared_norm)(const void* row, DType dtype, std::int32_t head_dim) = nullptr;
};

/// One instruction-set path.
struct KernelSet {
  std::string_view name;
  const TileKernels* tiles = nullptr;       // any dtype, computes in fp32
  const TileKernels* tiles_bf16 = nullptr;  // bf16 queries, keys and values; null: tiles serves them
  const RowKernels* rows = nullptr;
  const RowKernels* rows_bf16 = nullptr;

  const TileKernels& tiles_for(DType dtype) const {
    return dtype == DType::kBF16 && tiles_bf16 != nullptr ? *tiles_bf16 : *tiles;
  }
  const RowKernels& rows_for(DType dtype) const {
    return dtype == DType::kBF16 && rows_bf16 != nullptr ? *rows_bf16 : *rows;
  }
};

}  // namespace tca::cpu
