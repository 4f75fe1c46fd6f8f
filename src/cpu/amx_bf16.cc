// Tile kernels on AMX: 16 x 16 sums of 32 bf16 products an instruction, eight times AVX-512's. K rows and the columns
// of V are the A operand, packed queries and weights the B operand. Sums are taken 32 x 32 at a time: two A and two B
// tiles (8 cycles each from L1) for four products (16 cycles each), and four chains to cover a product's 52 cycles.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/amx_bf16.cc"
#include "hwy/foreach_target.h"
//
#include "cpu/bf16_pairs-inl.h"
#include "cpu/targets.h"

#if HWY_TARGET == HWY_AVX3
#include "cpu/amx_tiles-inl.h"

HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512bf16,amx-tile,amx-bf16")
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace {

constexpr std::int32_t kRows = 64;               // of a block
constexpr std::int32_t kDepth = 32;              // elements, or keys, that one product sums over
constexpr std::int32_t kWide = 2 * tile::kRows;  // keys, value columns or rows of four sums
constexpr std::int32_t kHalfVectors = kWide / kLanes;
constexpr std::size_t kRowStride = kRows * sizeof(float);  // bytes from one key, pair or value column to the next
constexpr std::int32_t kTileElements = tile::kRows * kDepth;
static_assert(kLanes == tile::kRows && kHeadDimStep == tile::kRows && kRows <= kMaxBlockRows);

constexpr std::int32_t round_up(std::int32_t n, std::int32_t step) { return (n + step - 1) / step * step; }
constexpr std::int32_t depth_steps(std::int32_t head_dim) { return (head_dim + kDepth - 1) / kDepth; }

/// Tiles 0 to 3 are sums, [a][b] with a the tile of the A operand; 4 and 5 the A, 6 and 7 the B operand.
template <bool kBoth>
HWY_INLINE void multiply(const std::uint16_t* a, std::int32_t a_tiles_apart, const float* b) {
  tile::load<4>(a, tile::kRowBytes);
  tile::load<6>(b, kRowStride);
  tile::load<7>(b + kLanes, kRowStride);
  tile::multiply<0, 4, 6>();
  tile::multiply<1, 4, 7>();
  if constexpr (kBoth) {
    tile::load<5>(a + a_tiles_apart * kTileElements, tile::kRowBytes);
    tile::multiply<2, 5, 6>();
    tile::multiply<3, 5, 7>();
  }
}

template <bool kBoth>
HWY_INLINE void load_sums(const float* from) {
  tile::load<0>(from, kRowStride);
  tile::load<1>(from + kLanes, kRowStride);
  if constexpr (kBoth) {
    tile::load<2>(from + tile::kRows * kRows, kRowStride);
    tile::load<3>(from + tile::kRows * kRows + kLanes, kRowStride);
  }
}

template <bool kBoth>
HWY_INLINE void store_sums(float* to) {
  tile::store<0>(to, kRowStride);
  tile::store<1>(to + kLanes, kRowStride);
  if constexpr (kBoth) {
    tile::store<2>(to + tile::kRows * kRows, kRowStride);
    tile::store<3>(to + tile::kRows * kRows + kLanes, kRowStride);
  }
}

void enter() {
  flush_denormals();
  tile::configure();
}

void leave() {
  tile::release();
  keep_denormals();
}

/// [depth steps][16][kRows] pairs, with zeros to the end of the last step.
std::size_t query_block_bytes(std::int32_t head_dim) {
  return static_cast<std::size_t>(depth_steps(head_dim)) * tile::kRows * kRowStride;
}

void pack_queries(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  pack_query_pairs<kRows>(rows, count, head_dim, packed);
  float* const pairs = static_cast<float*>(packed);
  std::fill(pairs + head_dim / 2 * kRows, pairs + depth_steps(head_dim) * tile::kRows * kRows, 0.0f);
}

std::size_t tile_bytes(std::int32_t head_dim) {
  return sizeof(std::uint16_t) * kTileKeys * static_cast<std::size_t>(round_up(head_dim, kDepth));
}

/// [keys / 16][depth steps] tiles of [16 keys][32 elements]; zeros to the end of the last step. Keys that are not there
/// keep what was there: their scores are thrown away.
void pack_keys(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  const std::int32_t steps = depth_steps(head_dim);
  for (std::int32_t j = 0; j < count; ++j) {
    const auto* const row = static_cast<const std::uint16_t*>(rows[j]);
    auto* to = static_cast<std::uint16_t*>(packed) + j / tile::kRows * steps * kTileElements + j % tile::kRows * kDepth;
    std::int32_t c = 0;
    for (; c + kDepth <= head_dim; c += kDepth, to += kTileElements) {
      _mm512_store_si512(to, _mm512_loadu_si512(row + c));
    }
    if (c < head_dim) _mm512_store_si512(to, _mm512_maskz_loadu_epi16(0xffff, row + c));
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

/// [keys / 32][head_dim / 16] tiles of [16 elements][32 keys]; zeros to the end of the last key's tile.
void pack_values(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  alignas(64) static constexpr std::uint16_t kZeros[kMaxHeadDim] = {};
  auto* to = static_cast<std::uint16_t*>(packed);
  const auto row_at = [&](std::int32_t j) { return static_cast<const std::uint16_t*>(j < count ? rows[j] : kZeros); };
  for (std::int32_t first = 0; first < count; first += kDepth) {
    for (std::int32_t c = 0; c < head_dim; c += kLanes, to += kTileElements) {
      __m512i pairs[16];  // of keys first + 2 i and the next; lane: element c + lane
      for (int i = 0; i < 16; ++i) {
        const __m256i even = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row_at(first + 2 * i) + c));
        const __m256i odd = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row_at(first + 2 * i + 1) + c));
        pairs[i] = _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
      }
      transpose_lanes(pairs);
      for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * kDepth, pairs[i]);
    }
  }
}

/// The maximum of keys [begin, end) for the kHalfVectors vectors of a half block; top is [kRows].
HWY_INLINE void raise_top(const float* HWY_RESTRICT scores, std::int32_t begin, std::int32_t end,
                          float* HWY_RESTRICT top) {
  __m512 low = _mm512_load_ps(top), high = _mm512_load_ps(top + kLanes);
  for (std::int32_t j = begin; j < end; ++j) {
    low = _mm512_max_ps(low, _mm512_load_ps(scores + j * kRows));
    high = _mm512_max_ps(high, _mm512_load_ps(scores + j * kRows + kLanes));
  }
  _mm512_store_ps(top, low);
  _mm512_store_ps(top + kLanes, high);
}

void score(const void* queries, const void* keys, const TileShape& shape, float* HWY_RESTRICT scores,
           float* HWY_RESTRICT tile_max) {
  const float* const q = static_cast<const float*>(queries);
  const std::int32_t steps = depth_steps(shape.head_dim), halves = (shape.rows + kWide - 1) / kWide;
  const std::int32_t begin = shape.first_key / kWide * kWide;
  std::fill_n(tile_max, kRows, -std::numeric_limits<float>::infinity());
  // Maxima lag one round behind, so that they are taken while the products of the next round run.
  const auto take_maxima = [&](std::int32_t first, std::int32_t half) HWY_ATTR {
    raise_top(scores + half * kWide, std::max(first, shape.first_key), std::min(first + kWide, shape.end_key),
              tile_max + half * kWide);
  };
  std::int32_t before_first = 0, before_half = -1;
  for (std::int32_t first = begin; first < shape.end_key; first += kWide) {
    const std::uint16_t* const tiles =
        static_cast<const std::uint16_t*>(keys) + first / tile::kRows * steps * kTileElements;
    for (std::int32_t half = 0; half < halves; ++half) {
      tile::zero<0>();
      tile::zero<1>();
      tile::zero<2>();
      tile::zero<3>();
      for (std::int32_t s = 0; s < steps; ++s) {
        multiply<true>(tiles + s * kTileElements, steps, q + s * tile::kRows * kRows + half * kWide);
      }
      store_sums<true>(scores + first * kRows + half * kWide);
      if (before_half >= 0) take_maxima(before_first, before_half);
      before_first = first;
      before_half = half;
    }
  }
  take_maxima(before_first, before_half);
  // Weights are taken two keys at a time: what follows an odd last key weighs nothing.
  const std::int32_t padded = std::min(round_up(shape.end_key, kKeyStep), kTileKeys);
  std::fill(scores + shape.end_key * kRows, scores + padded * kRows, -std::numeric_limits<float>::infinity());
}

/// Products take 32 keys at once: those around the ones that are seen weigh nothing.
bool softmax(const TileShape& shape, float log2_scale, const float* tile_max, const float* scores, void* weights,
             float* max, float* sum, float* factors) {
  float* const pairs = static_cast<float*>(weights);
  const auto clear = [&](std::int32_t begin, std::int32_t end) {
    std::fill(pairs + begin / 2 * kRows, pairs + end / 2 * kRows, 0.0f);
  };
  clear(shape.first_key / kDepth * kDepth, shape.first_key);
  clear(round_up(shape.end_key, 2), round_up(shape.end_key, kDepth));
  if (shape.rows > kWide) {
    return softmax_rows<2 * kHalfVectors, kRows>(shape, log2_scale, tile_max, scores, pairs, max, sum, factors);
  }
  return softmax_rows<kHalfVectors, kRows>(shape, log2_scale, tile_max, scores, pairs, max, sum, factors);
}

/// kBoth: 32 value columns, else 16; of a half block.
template <bool kBoth>
HWY_INLINE void accumulate_columns(std::span<const WeightedTile> tiles, std::int32_t column, std::int32_t columns,
                                   std::int32_t half, float* out) {
  const std::int32_t column_tiles = columns / tile::kRows, row = half * kWide;
  load_sums<kBoth>(out + column * kRows + row);
  for (const WeightedTile& t : tiles) {
    const auto* const values = static_cast<const std::uint16_t*>(t.values);
    const auto* const weights = static_cast<const float*>(t.weights);
    for (std::int32_t s = t.first_key / kDepth; s * kDepth < t.end_key; ++s) {
      multiply<kBoth>(values + (s * column_tiles + column / tile::kRows) * kTileElements, 1,
                      weights + s * tile::kRows * kRows + row);
    }
  }
  store_sums<kBoth>(out + column * kRows + row);
}

void accumulate(std::span<const WeightedTile> tiles, const TileShape& shape, const float* HWY_RESTRICT factors,
                float* HWY_RESTRICT out) {
  const std::int32_t halves = (shape.rows + kWide - 1) / kWide;
  if (factors != nullptr) {
    for (std::int32_t c = 0; c < shape.head_dim; ++c) {
      for (std::int32_t r = 0; r < halves * kWide; r += kLanes) {
        float* const at = out + c * kRows + r;
        _mm512_store_ps(at, _mm512_mul_ps(_mm512_load_ps(at), _mm512_load_ps(factors + r)));
      }
    }
  }
  for (std::int32_t c = 0; c < shape.head_dim; c += kWide) {
    for (std::int32_t half = 0; half < halves; ++half) {
      if (c + kWide <= shape.head_dim) {
        accumulate_columns<true>(tiles, c, shape.head_dim, half, out);
      } else {
        accumulate_columns<false>(tiles, c, shape.head_dim, half, out);
      }
    }
  }
}

}  // namespace

constexpr TileKernels kAmxTileKernels = {.block_rows = kRows,
                                         .query_block_bytes = query_block_bytes,
                                         .tile_bytes = tile_bytes,
                                         .weight_tile_bytes = kTileKeys / 2 * kRowStride,
                                         .enter = enter,
                                         .leave = leave,
                                         .pack_queries = pack_queries,
                                         .pack_keys = pack_keys,
                                         .pack_values = pack_values,
                                         .score = score,
                                         .mask = mask_tile<kRows>,
                                         .softmax = softmax,
                                         .accumulate = accumulate,
                                         .column_sums = sum_columns<kRows>,
                                         .store_rows = store_block<kRows>};

}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_POP_ATTRIBUTES
#endif

#if HWY_ONCE
namespace tca::cpu {

const TileKernels* amx_bf16_tile_kernels() {
#if HWY_TARGETS & HWY_AVX3
#ifdef TCA_EMULATED_TILES
  return has_avx512_bf16() ? &N_AVX3::kAmxTileKernels : nullptr;
#else
  return has_amx_bf16() ? &N_AVX3::kAmxTileKernels : nullptr;
#endif
#else
  return nullptr;
#endif
}

}  // namespace tca::cpu
#endif
