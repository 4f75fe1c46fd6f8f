// Tile kernels on AMX: 16 x 16 sums of 32 bf16 products an instruction, eight times AVX-512's. Only the two products
// differ from avx512_bf16.cc: K rows are the A operand as they lie, V is turned to rows of keys, and packed queries and
// weights are the B operand. Each step of 32 elements (or keys) takes one A and three B tiles for three products of 16
// cycles, so that loads from L1 (8 cycles a tile) stay behind them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/amx_bf16.cc"
#include "hwy/foreach_target.h"
//
#include "cpu/bf16_pairs-inl.h"
#include "cpu/targets.h"

#if HWY_TARGET == HWY_AVX3
#include <immintrin.h>

HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",amx-tile,amx-bf16")
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace {

constexpr std::int32_t kTileRows = 16;   // keys, or value columns
constexpr std::int32_t kTileDepth = 32;  // elements, or keys, that one product sums over
static_assert(kLanes == kTileRows && kBlockVectors == 3 && kHeadDimStep == kTileRows);

// bf16 elements from key to key, and from value column to value column: odd numbers of cache lines, so that the 16 rows
// of a tile do not share an L1 set.
constexpr std::int32_t kKeyStride = kMaxHeadDim + 32;
constexpr std::int32_t kValueStride = kTileKeys + 32;

constexpr std::int32_t round_up(std::int32_t n, std::int32_t step) { return (n + step - 1) / step * step; }

/// What LDTILECFG reads: eight tiles of 16 rows of 64 bytes.
struct TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);
alignas(64) constexpr TileConfig kTileConfig;

/// Tiles 0 to 2 are sums, 3 to 5 the B operand, 6 the A operand. Only while in scope, because others (matrix libraries)
/// shape the tiles of this thread, too.
class Tiles {
 public:
  Tiles() { _tile_loadconfig(&kTileConfig); }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

/// sums (tiles 0 to kVectors - 1) += a . b, b being rows of kBlockRows pairs.
template <int kVectors>
HWY_INLINE void multiply(const std::uint16_t* a, std::int32_t a_stride, const float* b) {
  constexpr std::size_t kRowBytes = kBlockRows * sizeof(float);
  _tile_loadd(6, a, static_cast<std::size_t>(a_stride) * sizeof(std::uint16_t));
  _tile_loadd(3, b, kRowBytes);
  _tile_dpbf16ps(0, 6, 3);
  if constexpr (kVectors > 1) {
    _tile_loadd(4, b + kLanes, kRowBytes);
    _tile_dpbf16ps(1, 6, 4);
  }
  if constexpr (kVectors > 2) {
    _tile_loadd(5, b + 2 * kLanes, kRowBytes);
    _tile_dpbf16ps(2, 6, 5);
  }
}

template <int kVectors>
HWY_INLINE void load_sums(const float* from) {
  constexpr std::size_t kRowBytes = kBlockRows * sizeof(float);
  _tile_loadd(0, from, kRowBytes);
  if constexpr (kVectors > 1) _tile_loadd(1, from + kLanes, kRowBytes);
  if constexpr (kVectors > 2) _tile_loadd(2, from + 2 * kLanes, kRowBytes);
}

template <int kVectors>
HWY_INLINE void store_sums(float* to) {
  constexpr std::size_t kRowBytes = kBlockRows * sizeof(float);
  _tile_stored(0, to, kRowBytes);
  if constexpr (kVectors > 1) _tile_stored(1, to + kLanes, kRowBytes);
  if constexpr (kVectors > 2) _tile_stored(2, to + 2 * kLanes, kRowBytes);
}

/// [head_dim / 2][R] pairs, and zeros to the end of the last product's depth.
std::size_t query_block_bytes(std::int32_t head_dim) {
  return sizeof(float) * (round_up(head_dim, kTileDepth) / 2) * kBlockRows;
}

void pack_queries(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  pack_query_pairs(rows, count, head_dim, packed);
  float* const pairs = static_cast<float*>(packed);
  std::fill(pairs + head_dim / 2 * kBlockRows, pairs + round_up(head_dim, kTileDepth) / 2 * kBlockRows, 0.0f);
}

/// [kTileKeys][kKeyStride] bf16: the rows, moved together; zeros to the end of the depth. Keys that are not there keep
/// what was there: their scores are thrown away.
void pack_keys(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  const hn::CappedTag<std::uint16_t, kHeadDimStep> d16;
  auto* tile = static_cast<std::uint16_t*>(packed);
  for (std::int32_t j = 0; j < count; ++j, tile += kKeyStride) {
    const auto* const row = static_cast<const std::uint16_t*>(rows[j]);
    for (std::int32_t c = 0; c < head_dim; c += kHeadDimStep) hn::Store(hn::LoadU(d16, row + c), d16, tile + c);
    if (head_dim % kTileDepth != 0) hn::Store(hn::Zero(d16), d16, tile + head_dim);
  }
}

/// rows[i] lane j to rows[j] lane i.
HWY_INLINE void transpose_lanes(__m512i (&rows)[16]) {
  __m512i x[16];
  for (int i = 0; i < 16; i += 2) {
    x[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    x[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(x[i], x[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(x[i], x[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(x[i + 1], x[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(x[i + 1], x[i + 3]);
  }
  // Now 128-bit part p of rows[4 b + i] holds lane 4 p + i of the rows 4 b to 4 b + 3.
  for (int i = 0; i < 4; ++i) {
    const __m512i low01 = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0x88),
                  odd01 = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0xdd);
    const __m512i low23 = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0x88),
                  odd23 = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0xdd);
    x[i] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    x[4 + i] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
    x[8 + i] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    x[12 + i] = _mm512_shuffle_i32x4(odd01, odd23, 0xdd);
  }
  for (int i = 0; i < 16; ++i) rows[i] = x[i];
}

/// [head_dim][kValueStride] bf16: element c of all keys side by side; zeros to the end of the last key's depth.
void pack_values(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  alignas(64) static constexpr std::uint16_t kZeros[kMaxHeadDim] = {};
  auto* const tile = static_cast<std::uint16_t*>(packed);
  const auto row_at = [&](std::int32_t j) { return static_cast<const std::uint16_t*>(j < count ? rows[j] : kZeros); };
  for (std::int32_t first = 0; first < count; first += kTileDepth) {
    for (std::int32_t c = 0; c < head_dim; c += kLanes) {
      __m512i pairs[16];  // of keys first + 2 i and the next; lane: element c + lane
      for (int i = 0; i < 16; ++i) {
        const __m256i even = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row_at(first + 2 * i) + c));
        const __m256i odd = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row_at(first + 2 * i + 1) + c));
        pairs[i] = _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
      }
      transpose_lanes(pairs);
      for (int i = 0; i < 16; ++i) _mm512_store_si512(tile + (c + i) * kValueStride + first, pairs[i]);
    }
  }
}

template <int kVectors>
void score_block(const float* queries, const std::uint16_t* keys, const TileShape& shape, float* HWY_RESTRICT scores,
                 float* HWY_RESTRICT tile_max) {
  const FloatTag df;
  const FloatVec nothing = hn::Set(df, -std::numeric_limits<float>::infinity());
  const Tiles tiles;
  FloatVec top[kVectors];
  for (int v = 0; v < kVectors; ++v) top[v] = nothing;
  for (std::int32_t first = shape.first_key / kTileRows * kTileRows; first < shape.end_key; first += kTileRows) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    for (std::int32_t c = 0; c < shape.head_dim; c += kTileDepth) {
      multiply<kVectors>(keys + first * kKeyStride + c, kKeyStride, queries + c / 2 * kBlockRows);
    }
    store_sums<kVectors>(scores + first * kBlockRows);
    for (std::int32_t j = first; j < first + kTileRows; ++j) {
      const bool padding = j < shape.first_key || j >= shape.end_key;
      for (int v = 0; v < kVectors; ++v) {
        float* const at = scores + j * kBlockRows + v * kLanes;
        if (padding) {
          hn::Store(nothing, df, at);
        } else {
          top[v] = hn::Max(top[v], hn::Load(df, at));
        }
      }
    }
  }
  for (int v = 0; v < kVectors; ++v) hn::Store(top[v], df, tile_max + v * kLanes);
}

void score(const void* queries, const void* keys, const TileShape& shape, float* scores, float* tile_max) {
  with_row_vectors(shape.rows, [&](auto vectors) HWY_ATTR {
    score_block<vectors.value>(static_cast<const float*>(queries), static_cast<const std::uint16_t*>(keys), shape,
                               scores, tile_max);
  });
}

/// Products take 32 keys at once: those around the ones that are seen weigh nothing.
bool softmax(const TileShape& shape, float log2_scale, const float* tile_max, float* scores, float* max, float* sum,
             float* factors) {
  const bool changed = softmax_pairs(shape, log2_scale, tile_max, scores, max, sum, factors);
  const auto clear = [&](std::int32_t begin, std::int32_t end) {
    std::fill(scores + begin / 2 * kBlockRows, scores + end / 2 * kBlockRows, 0.0f);
  };
  clear(shape.first_key / kTileDepth * kTileDepth, shape.first_key);
  clear(shape.end_key + shape.end_key % 2, round_up(shape.end_key, kTileDepth));
  return changed;
}

template <int kVectors>
void accumulate_block(const float* weights, const std::uint16_t* values, const TileShape& shape,
                      const float* HWY_RESTRICT factors, float* HWY_RESTRICT out) {
  const FloatTag df;
  if (factors != nullptr) {
    for (std::int32_t c = 0; c < shape.head_dim; ++c) {
      for (int v = 0; v < kVectors; ++v) {
        float* const at = out + c * kBlockRows + v * kLanes;
        hn::Store(hn::Mul(hn::Load(df, at), hn::Load(df, factors + v * kLanes)), df, at);
      }
    }
  }
  const Tiles tiles;
  const std::int32_t begin = shape.first_key / kTileDepth * kTileDepth;
  for (std::int32_t c = 0; c < shape.head_dim; c += kTileRows) {
    float* const to = out + c * kBlockRows;
    load_sums<kVectors>(to);
    for (std::int32_t j = begin; j < shape.end_key; j += kTileDepth) {
      multiply<kVectors>(values + c * kValueStride + j, kValueStride, weights + j / 2 * kBlockRows);
    }
    store_sums<kVectors>(to);
  }
}

void accumulate(const float* weights, const void* values, const TileShape& shape, const float* factors, float* out) {
  with_row_vectors(shape.rows, [&](auto vectors) HWY_ATTR {
    accumulate_block<vectors.value>(weights, static_cast<const std::uint16_t*>(values), shape, factors, out);
  });
}

}  // namespace

constexpr TileKernels kAmxTileKernels = {
    .block_rows = kBlockRows,
    .key_tile_bytes = sizeof(std::uint16_t) * std::max(kTileKeys * kKeyStride, kMaxHeadDim* kValueStride),
    .query_block_bytes = query_block_bytes,
    .pack_queries = pack_queries,
    .pack_keys = pack_keys,
    .pack_values = pack_values,
    .score = score,
    .mask = mask_tile,
    .softmax = softmax,
    .accumulate = accumulate,
    .column_sums = sum_columns,
    .store_rows = store_block};

}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_POP_ATTRIBUTES
#endif

#if HWY_ONCE
namespace tca::cpu {

const TileKernels* amx_bf16_tile_kernels() {
#if HWY_TARGETS & HWY_AVX3
  return has_amx_bf16() ? &N_AVX3::kAmxTileKernels : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace tca::cpu
#endif
