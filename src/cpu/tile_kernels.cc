// Tile kernels in fp32 for every Highway target: any dtype in, widened while packing.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/tile_kernels.cc"
#include "hwy/foreach_target.h"
//
#include "cpu/target_tables.h"
#include "cpu/targets.h"
#include "cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace {

// Floats from one key (or value) of a tile to the next. A constant, so that the rows of a group are displacements of
// one pointer; an odd number of cache lines, so that the rows of a tile spread over all sets of the L1 cache.
constexpr std::int32_t kTileStride = kMaxHeadDim + 16;
static_assert(kTileStride * sizeof(float) % 128 == 64);

std::size_t query_block_bytes(std::int32_t head_dim) { return sizeof(float) * head_dim * kBlockRows; }

void pack_queries(const void* const* rows, std::int32_t count, DType dtype, std::int32_t head_dim, void* packed) {
  HWY_ALIGN float widened[kTurn][kMaxHeadDim];
  const float* turned[kTurn];
  for (std::int32_t i = 0; i < kTurn; ++i) turned[i] = widened[i];
  with_dtype(dtype, [&](auto type) HWY_ATTR {
    for (std::int32_t r = 0; r < kBlockRows; r += kTurn) {
      for (std::int32_t i = 0; i < kTurn; ++i) {
        if (r + i < count) {
          widen_row<type.value>(rows[r + i], head_dim, widened[i]);
        } else {
          std::fill_n(widened[i], head_dim, 0.0f);
        }
      }
      turn_rows_in(turned, head_dim, static_cast<float*>(packed) + r);
    }
  });
}

void pack_tile(const void* const* rows, std::int32_t count, DType dtype, std::int32_t head_dim, void* packed) {
  auto* const tile = static_cast<float*>(packed);
  with_dtype(dtype, [&](auto type) HWY_ATTR {
    for (std::int32_t j = 0; j < count; ++j) widen_row<type.value>(rows[j], head_dim, tile + j * kTileStride);
  });
  for (std::int32_t j = count; j < padded_keys(count); ++j) std::fill_n(tile + j * kTileStride, head_dim, 0.0f);
}

template <int kVectors>
void score_block(const float* HWY_RESTRICT queries, const float* HWY_RESTRICT keys, const TileShape& shape,
                 float* HWY_RESTRICT scores, float* HWY_RESTRICT span_max) {
  const FloatTag df;
  const FloatVec nothing = hn::Set(df, -std::numeric_limits<float>::infinity());
  FloatVec top[kVectors];
  for (int v = 0; v < kVectors; ++v) top[v] = nothing;
  for (std::int32_t first = shape.first_key; first < shape.end_key; first += kGroup) {
    FloatVec sum[kGroup][kVectors];
    HWY_UNROLL(8)
    for (int j = 0; j < kGroup; ++j) {
      HWY_UNROLL(3)
      for (int v = 0; v < kVectors; ++v) sum[j][v] = hn::Zero(df);
    }
    const float* HWY_RESTRICT key = keys + first * kTileStride;
    const float* HWY_RESTRICT query = queries;
    for (std::int32_t c = 0; c < shape.head_dim; ++c, ++key, query += kBlockRows) {
      FloatVec q[kVectors];
      HWY_UNROLL(3)
      for (int v = 0; v < kVectors; ++v) q[v] = hn::Load(df, query + v * kLanes);
      HWY_UNROLL(8)
      for (int j = 0; j < kGroup; ++j) {
        const FloatVec k = hn::Set(df, key[j * kTileStride]);
        HWY_UNROLL(3)
        for (int v = 0; v < kVectors; ++v) sum[j][v] = hn::MulAdd(k, q[v], sum[j][v]);
      }
    }
    HWY_UNROLL(8)
    for (int j = 0; j < kGroup; ++j) {
      const bool padding = first + j >= shape.end_key;
      HWY_UNROLL(3)
      for (int v = 0; v < kVectors; ++v) {
        const FloatVec score = padding ? nothing : sum[j][v];
        hn::Store(score, df, scores + (first + j) * kBlockRows + v * kLanes);
        top[v] = hn::Max(top[v], score);
      }
    }
  }
  for (int v = 0; v < kVectors; ++v) hn::Store(top[v], df, span_max + v * kLanes);
}

void score(const ScoreTask& task) {
  with_row_vectors(task.shape.rows, [&](auto vectors) HWY_ATTR {
    score_block<vectors.value>(static_cast<const float*>(task.queries), static_cast<const float*>(task.keys),
                               task.shape, task.scores, task.span_max);
  });
}

template <int kVectors>
bool softmax_block(const SoftmaxTask& task) {
  const FloatTag df;
  const FloatVec scale = hn::Set(df, task.log2_scale);
  const float* HWY_RESTRICT scores = task.scores;
  auto* HWY_RESTRICT weights = static_cast<float*>(task.weights);
  RowMaximum<kVectors> maximum;
  raise_maximum(task.log2_scale, task.span_max, task.max, task.factors, maximum);
  FloatVec sums[kVectors];
  for (int v = 0; v < kVectors; ++v) sums[v] = hn::Zero(df);
  for (std::int32_t j = task.shape.first_key; j < task.shape.end_key; ++j) {
    HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v) {
      const std::int32_t at = j * kBlockRows + v * kLanes;
      const FloatVec weight = exp2(df, hn::Mul(hn::Sub(hn::Load(df, scores + at), maximum.max[v]), scale));
      sums[v] = hn::Add(sums[v], weight);
      hn::Store(weight, df, weights + at);
    }
  }
  update_sums(maximum, sums, task.sum);
  return maximum.changed;
}

bool softmax(const SoftmaxTask& task) {
  bool changed = false;
  with_row_vectors(task.shape.rows, [&](auto vectors) HWY_ATTR { changed = softmax_block<vectors.value>(task); });
  return changed;
}

template <int kVectors>
void accumulate_block(std::span<const WeightedTile> tiles, const TileShape& shape, const float* HWY_RESTRICT factors,
                      float* HWY_RESTRICT out) {
  const FloatTag df;
  for (std::int32_t first = 0; first < shape.head_dim; first += kGroup) {
    float* HWY_RESTRICT to = out + first * kBlockRows;
    FloatVec sum[kGroup][kVectors];
    HWY_UNROLL(8)
    for (int c = 0; c < kGroup; ++c) {
      HWY_UNROLL(3)
      for (int v = 0; v < kVectors; ++v) sum[c][v] = hn::Load(df, to + c * kBlockRows + v * kLanes);
    }
    if (factors != nullptr) {
      HWY_UNROLL(3)
      for (int v = 0; v < kVectors; ++v) {
        const FloatVec factor = hn::Load(df, factors + v * kLanes);
        HWY_UNROLL(8)
        for (int c = 0; c < kGroup; ++c) sum[c][v] = hn::Mul(sum[c][v], factor);
      }
    }
    for (const WeightedTile& tile : tiles) {
      const float* HWY_RESTRICT value = static_cast<const float*>(tile.values) + tile.first_key * kTileStride + first;
      const float* HWY_RESTRICT weight = static_cast<const float*>(tile.weights) + tile.first_key * kBlockRows;
      for (std::int32_t j = tile.first_key; j < tile.end_key; ++j, value += kTileStride, weight += kBlockRows) {
        FloatVec w[kVectors];
        HWY_UNROLL(3)
        for (int v = 0; v < kVectors; ++v) w[v] = hn::Load(df, weight + v * kLanes);
        HWY_UNROLL(8)
        for (int c = 0; c < kGroup; ++c) {
          const FloatVec x = hn::Set(df, value[c]);
          HWY_UNROLL(3)
          for (int v = 0; v < kVectors; ++v) sum[c][v] = hn::MulAdd(x, w[v], sum[c][v]);
        }
      }
    }
    HWY_UNROLL(8)
    for (int c = 0; c < kGroup; ++c) {
      HWY_UNROLL(3)
      for (int v = 0; v < kVectors; ++v) hn::Store(sum[c][v], df, to + c * kBlockRows + v * kLanes);
    }
  }
}

void accumulate(std::span<const WeightedTile> tiles, const TileShape& shape, const float* factors, float* out) {
  with_row_vectors(shape.rows,
                   [&](auto vectors) HWY_ATTR { accumulate_block<vectors.value>(tiles, shape, factors, out); });
}

std::size_t tile_bytes(std::int32_t) { return sizeof(float) * kTileKeys * kTileStride; }

}  // namespace

constexpr TileKernels kTileKernels = {.block_rows = kBlockRows,
                                      .max_rows = 768,
                                      .span_keys = kTileKeys,
                                      .score_rows = kBlockRows,
                                      .query_block_bytes = query_block_bytes,
                                      .tile_bytes = tile_bytes,
                                      .weight_tile_bytes = sizeof(float) * kTileKeys * kBlockRows,
                                      .pack_queries = pack_queries,
                                      .pack_keys = pack_tile,
                                      .pack_values = pack_tile,
                                      .score = score,
                                      .mask = mask_tile<kBlockRows>,
                                      .softmax = softmax,
                                      .accumulate = accumulate,
                                      .reduce_columns = reduce_tile<kBlockRows>,
                                      .store_rows = store_block<kBlockRows>};

}  // namespace HWY_NAMESPACE

namespace {
template <>
struct TargetTable<TileKernels, HWY_TARGET> {
  static constexpr const TileKernels* value = &HWY_NAMESPACE::kTileKernels;
};
}  // namespace
}  // namespace tca::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tca::cpu {

const TileKernels* tile_kernels(std::int64_t target) { return find_target_table<TileKernels>(target); }

}  // namespace tca::cpu
#endif
