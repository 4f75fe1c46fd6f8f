// Tile kernels on AVX-512 bf16 dot products (VDPBF16PS): bf16 queries, keys and values as they are, weights rounded to
// bf16, sums in fp32. Twice the multiply-adds of fp32 an instruction. Highway has no such operation; the rest is its
// AVX3 target, so this file is compiled for that one alone, with the extension added.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/avx512_bf16.cc"
#include "hwy/foreach_target.h"
//
#include "cpu/bf16_pairs-inl.h"
#include "cpu/targets.h"

#if HWY_TARGET == HWY_AVX3
#include <immintrin.h>

HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512bf16")
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace {

// bf16 elements from one key of a tile to the next, and pairs of elements from one pair of values to the next; see
// tile_kernels.cc for why they are constants with odd numbers of cache lines.
constexpr std::int32_t kKeyStride = kMaxHeadDim + 32;
constexpr std::int32_t kValueStride = kMaxHeadDim + 16;
static_assert(kKeyStride * sizeof(std::uint16_t) % 128 == 64 && kValueStride * sizeof(float) % 128 == 64);

/// sum + a.lo * b.lo + a.hi * b.hi, by lane. Pairs of bf16 travel as the bits of floats.
HWY_INLINE FloatVec dot_pairs(FloatVec sum, FloatVec a, FloatVec b) {
  return FloatVec{_mm512_dpbf16_ps(sum.raw, reinterpret_cast<__m512bh>(a.raw), reinterpret_cast<__m512bh>(b.raw))};
}

std::size_t query_block_bytes(std::int32_t head_dim) { return sizeof(float) * (head_dim / 2) * kBlockRows; }

void pack_queries(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  pack_query_pairs(rows, count, head_dim, packed);
}

/// [kTileKeys][kKeyStride] bf16: the rows, moved together.
void pack_keys(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  const hn::CappedTag<std::uint16_t, kHeadDimStep> d16;
  auto* tile = static_cast<std::uint16_t*>(packed);
  for (std::int32_t j = 0; j < padded_keys(count); ++j, tile += kKeyStride) {
    const auto* const row = static_cast<const std::uint16_t*>(j < count ? rows[j] : nullptr);
    for (std::int32_t c = 0; c < head_dim; c += kHeadDimStep) {
      hn::Store(row != nullptr ? hn::LoadU(d16, row + c) : hn::Zero(d16), d16, tile + c);
    }
  }
}

/// [kTileKeys / 2][kValueStride] pairs: element c of two values side by side.
void pack_values(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  const FloatTag df;
  const hn::RebindToUnsigned<FloatTag> du32;
  const hn::Rebind<std::uint16_t, FloatTag> du16;
  auto* tile = static_cast<float*>(packed);
  for (std::int32_t j = 0; j < count; j += 2, tile += kValueStride) {
    const auto* const even = static_cast<const std::uint16_t*>(rows[j]);
    const auto* const odd = static_cast<const std::uint16_t*>(j + 1 < count ? rows[j + 1] : nullptr);
    for (std::int32_t c = 0; c < head_dim; c += kLanes) {
      const auto low = hn::PromoteTo(du32, hn::LoadU(du16, even + c));
      const auto high = odd != nullptr ? hn::PromoteTo(du32, hn::LoadU(du16, odd + c)) : hn::Zero(du32);
      hn::Store(hn::BitCast(df, hn::Or(low, hn::ShiftLeft<16>(high))), df, tile + c);
    }
  }
}

template <int kVectors>
void score_block(const float* HWY_RESTRICT queries, const float* HWY_RESTRICT keys, const TileShape& shape,
                 float* HWY_RESTRICT scores, float* HWY_RESTRICT span_max) {
  constexpr std::int32_t kStride = kKeyStride / 2;  // pairs
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
    const float* HWY_RESTRICT key = keys + first * kStride;
    const float* HWY_RESTRICT query = queries;
    for (std::int32_t c = 0; c < shape.head_dim / 2; ++c, ++key, query += kBlockRows) {
      FloatVec q[kVectors];
      HWY_UNROLL(3)
      for (int v = 0; v < kVectors; ++v) q[v] = hn::Load(df, query + v * kLanes);
      HWY_UNROLL(8)
      for (int j = 0; j < kGroup; ++j) {
        const FloatVec k = hn::Set(df, key[j * kStride]);
        HWY_UNROLL(3)
        for (int v = 0; v < kVectors; ++v) sum[j][v] = dot_pairs(sum[j][v], q[v], k);
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

bool softmax(const SoftmaxTask& task) {
  bool changed = false;
  with_row_vectors(task.shape.rows, [&](auto vectors) HWY_ATTR { changed = softmax_rows<vectors.value>(task); });
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
      const float* HWY_RESTRICT value =
          static_cast<const float*>(tile.values) + tile.first_key / 2 * kValueStride + first;
      const float* HWY_RESTRICT weight = static_cast<const float*>(tile.weights) + tile.first_key / 2 * kBlockRows;
      for (std::int32_t j = tile.first_key; j < tile.end_key; j += 2, value += kValueStride, weight += kBlockRows) {
        FloatVec w[kVectors];
        HWY_UNROLL(3)
        for (int v = 0; v < kVectors; ++v) w[v] = hn::Load(df, weight + v * kLanes);
        HWY_UNROLL(8)
        for (int c = 0; c < kGroup; ++c) {
          const FloatVec x = hn::Set(df, value[c]);
          HWY_UNROLL(3)
          for (int v = 0; v < kVectors; ++v) sum[c][v] = dot_pairs(sum[c][v], w[v], x);
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

std::size_t tile_bytes(std::int32_t) {
  return std::max(sizeof(std::uint16_t) * kTileKeys * kKeyStride, sizeof(float) * kTileKeys / 2 * kValueStride);
}

}  // namespace

constexpr TileKernels kBf16TileKernels = {.block_rows = kBlockRows,
                                          .max_rows = 768,
                                          .span_keys = kTileKeys,
                                          .score_rows = kBlockRows,
                                          .query_block_bytes = query_block_bytes,
                                          .tile_bytes = tile_bytes,
                                          .weight_tile_bytes = sizeof(float) * kTileKeys / 2 * kBlockRows,
                                          .enter = flush_denormals,
                                          .leave = restore_modes,
                                          .pack_queries = pack_queries,
                                          .pack_keys = pack_keys,
                                          .pack_values = pack_values,
                                          .score = score,
                                          .mask = mask_tile<kBlockRows>,
                                          .softmax = softmax,
                                          .accumulate = accumulate,
                                          .reduce_columns = reduce_tile<kBlockRows>,
                                          .store_rows = store_block<kBlockRows>};

}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_POP_ATTRIBUTES
#endif

#if HWY_ONCE
namespace tca::cpu {

const TileKernels* avx512_bf16_tile_kernels() {
#if HWY_TARGETS & HWY_AVX3
  return has_avx512_bf16() ? &N_AVX3::kBf16TileKernels : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace tca::cpu
#endif
