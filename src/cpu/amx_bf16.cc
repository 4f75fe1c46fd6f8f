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
constexpr std::int32_t kRowTiles = kRows / tile::kRows;
constexpr std::int32_t kHalfVectors = kWide / kLanes;
constexpr std::int32_t kHalfScores = kWide * kWide;
constexpr std::int32_t kTileElements = tile::kRows * kDepth;  // bf16, of an A tile
constexpr std::int32_t kTilePairs = tile::kRows * kLanes;     // of a B tile; also its sums
constexpr std::size_t kScoreStride = kWide * sizeof(float);   // bytes from key to key
constexpr std::size_t kOutStride = kRows * sizeof(float);     // bytes from value column to value column
static_assert(kLanes == tile::kRows && kHeadDimStep == tile::kRows && kRows <= kMaxBlockRows && kWide == kMinSpanKeys &&
              kWide == kDepth);

constexpr std::int32_t round_up(std::int32_t n, std::int32_t step) { return (n + step - 1) / step * step; }
constexpr std::int32_t depth_steps(std::int32_t head_dim) { return (head_dim + kDepth - 1) / kDepth; }
/// Halves of a block that have rows.
constexpr std::int32_t halves_of(const TileShape& shape) { return shape.rows > kWide ? 2 : 1; }

/// Tiles 0 to 3 are sums, [a][b] with a the tile of the A operand; 4 and 5 the A, 6 and 7 the B operand.
template <bool kBothA>
HWY_INLINE void multiply(const std::uint16_t* a0, const std::uint16_t* a1, const float* b0, const float* b1) {
  tile::load<4>(a0, tile::kRowBytes);
  tile::load<6>(b0, tile::kRowBytes);
  tile::load<7>(b1, tile::kRowBytes);
  tile::multiply<0, 4, 6>();
  tile::multiply<1, 4, 7>();
  if constexpr (kBothA) {
    tile::load<5>(a1, tile::kRowBytes);
    tile::multiply<2, 5, 6>();
    tile::multiply<3, 5, 7>();
  }
}

HWY_INLINE void zero_sums() {
  tile::zero<0>();
  tile::zero<1>();
  tile::zero<2>();
  tile::zero<3>();
}

template <bool kBothA>
HWY_INLINE void load_sums(const float* from, std::size_t stride) {
  tile::load<0>(from, stride);
  tile::load<1>(from + kLanes, stride);
  if constexpr (kBothA) {
    const float* const second = from + tile::kRows * (stride / sizeof(float));
    tile::load<2>(second, stride);
    tile::load<3>(second + kLanes, stride);
  }
}

template <bool kBothA>
HWY_INLINE void store_sums(float* to, std::size_t stride) {
  tile::store<0>(to, stride);
  tile::store<1>(to + kLanes, stride);
  if constexpr (kBothA) {
    float* const second = to + tile::kRows * (stride / sizeof(float));
    tile::store<2>(second, stride);
    tile::store<3>(second + kLanes, stride);
  }
}

unsigned enter() {
  tile::configure();
  return flush_denormals();
}

void leave(unsigned before) {
  tile::release();
  restore_modes(before);
}

/// [kRowTiles][depth steps] tiles of [16 pairs][16 rows], with zeros to the end of the last step.
std::size_t query_block_bytes(std::int32_t head_dim) {
  return static_cast<std::size_t>(depth_steps(head_dim)) * kRowTiles * tile::kBytes;
}

void pack_queries(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  auto* pairs = static_cast<float*>(packed);
  const std::int32_t steps = depth_steps(head_dim);
  for (std::int32_t first = 0; first < kRows; first += kLanes, pairs += steps * kTilePairs) {
    pack_query_pairs<kLanes>(rows + first, count - first, head_dim, pairs);
    std::fill(pairs + head_dim / 2 * kLanes, pairs + steps * kTilePairs, 0.0f);
  }
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

/// Where the tile of 16 value columns and 32 keys is: column tiles go in pairs, [pairs][keys / 32][2] tiles of
/// [16 elements][32 keys], so that a pass over the keys of a pair reads one stream.
HWY_INLINE std::int32_t value_tile(std::int32_t column_tile, std::int32_t key_step, std::int32_t column_tiles) {
  constexpr std::int32_t kSteps = kTileKeys / kDepth;
  const std::int32_t first_of_pair = column_tile / 2 * 2;
  const std::int32_t in_pair = std::min(2, column_tiles - first_of_pair);
  return (first_of_pair * kSteps + key_step * in_pair + column_tile % 2) * kTileElements;
}

/// Zeros to the end of the last key's tile.
void pack_values(const void* const* rows, std::int32_t count, DType, std::int32_t head_dim, void* packed) {
  alignas(64) static constexpr std::uint16_t kZeros[kMaxHeadDim] = {};
  auto* const tiles = static_cast<std::uint16_t*>(packed);
  const auto row_at = [&](std::int32_t j) { return static_cast<const std::uint16_t*>(j < count ? rows[j] : kZeros); };
  for (std::int32_t first = 0; first < count; first += kDepth) {
    for (std::int32_t c = 0; c < head_dim; c += kLanes) {
      __m512i pairs[16];  // of keys first + 2 i and the next; lane: element c + lane
      for (int i = 0; i < 16; ++i) {
        const __m256i even = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row_at(first + 2 * i) + c));
        const __m256i odd = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row_at(first + 2 * i + 1) + c));
        pairs[i] = _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
      }
      transpose_lanes(pairs);
      std::uint16_t* const to = tiles + value_tile(c / kLanes, first / kDepth, head_dim / kLanes);
      for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * kDepth, pairs[i]);
    }
  }
}

/// The part of a shape that lies in a half of the block, its keys counted from the span's first.
TileShape half_of(const TileShape& shape, std::int32_t half) {
  const std::int32_t base = shape.first_key / kWide * kWide;
  return {.rows = std::min(kWide, shape.rows - half * kWide),
          .first_key = shape.first_key - base,
          .end_key = shape.end_key - base,
          .head_dim = shape.head_dim};
}

/// The maximum of keys [begin, end) for a half block's rows; top is [kWide].
HWY_INLINE void take_maximum(const float* scores, std::int32_t begin, std::int32_t end, float* top) {
  __m512 low = _mm512_set1_ps(-std::numeric_limits<float>::infinity()), high = low;
  for (std::int32_t j = begin; j < end; ++j) {
    low = _mm512_max_ps(low, _mm512_load_ps(scores + j * kWide));
    high = _mm512_max_ps(high, _mm512_load_ps(scores + j * kWide + kLanes));
  }
  _mm512_store_ps(top, low);
  _mm512_store_ps(top + kLanes, high);
}

void score(const ScoreTask& task) {
  const std::int32_t depth = depth_steps(task.shape.head_dim), halves = halves_of(task.shape);
  const auto* const keys =
      static_cast<const std::uint16_t*>(task.keys) + task.shape.first_key / kWide * 2 * depth * kTileElements;
  for (std::int32_t half = 0; half < halves; ++half) {
    const float* const queries = static_cast<const float*>(task.queries) + half * 2 * depth * kTilePairs;
    zero_sums();
    for (std::int32_t s = 0; s < depth; ++s) {
      const std::uint16_t* const k = keys + s * kTileElements;
      const float* const q = queries + s * kTilePairs;
      multiply<true>(k, k + depth * kTileElements, q, q + depth * kTilePairs);
    }
    store_sums<true>(task.scores + half * kHalfScores, kScoreStride);
  }
  for (std::int32_t half = 0; half < halves; ++half) {
    const TileShape shape = half_of(task.shape, half);
    float* const scores = task.scores + half * kHalfScores;
    take_maximum(scores, shape.first_key, shape.end_key, task.span_max + half * kWide);
    // Weights are taken two keys at a time: what follows an odd last key weighs nothing.
    const std::int32_t padded = round_up(shape.end_key, kKeyStep);
    std::fill(scores + shape.end_key * kWide, scores + padded * kWide, -std::numeric_limits<float>::infinity());
  }
}

void mask(const std::int32_t* row_positions, const std::int32_t* key_positions, const Visibility& visibility,
          const TileShape& shape, float* scores, float* span_max) {
  for (std::int32_t half = 0; half < halves_of(shape); ++half) {
    mask_tile<kWide>(row_positions + half * kWide, key_positions + shape.first_key / kWide * kWide, visibility,
                     half_of(shape, half), scores + half * kHalfScores, span_max + half * kWide);
  }
}

void reduce_columns(const float* scores, const TileShape& shape, float scale, const float* lse, ColumnReduce reduce,
                    float* out) {
  std::fill(out + shape.first_key, out + shape.end_key, 0.0f);
  for (std::int32_t half = 0; half < halves_of(shape); ++half) {
    const TileShape part = half_of(shape, half);
    float of_half[kWide];
    reduce_tile<kWide>(scores + half * kHalfScores, part, scale, lse + half * kWide, reduce, of_half);
    float* const to = out + shape.first_key / kWide * kWide;
    for (std::int32_t j = part.first_key; j < part.end_key; ++j) to[j] = combine(reduce, to[j], of_half[j]);
  }
}

/// Weights of a half block: [keys / 32][kRowTiles] tiles of [16 pairs][16 rows].
bool softmax_half(const SoftmaxTask& task, std::int32_t half) {
  const TileShape shape = half_of(task.shape, half);
  const std::int32_t row = half * kWide, first = shape.first_key, end = round_up(shape.end_key, 2);
  const float* const scores = task.scores + half * kHalfScores;
  float* const weights = static_cast<float*>(task.weights) +
                         (task.shape.first_key / kDepth * kRowTiles + half * kHalfVectors) * kTilePairs;
  RowMaximum<kHalfVectors> maximum;
  raise_maximum(task.log2_scale, task.span_max + row, task.max + row, task.factors + row, maximum);
  PairWeigher<kHalfVectors> weigher(task.log2_scale, maximum);
  const auto at = [&](std::int32_t pair, int v) { return weights + v * kTilePairs + pair * kLanes; };
  for (std::int32_t j = first; j < end; j += 2) {
    HWY_UNROLL(2)
    for (int v = 0; v < kHalfVectors; ++v) {
      const float* const from = scores + j * kWide + v * kLanes;
      _mm512_store_si512(at(j / 2, v), weigher.weigh(v, from, from + kWide));
    }
  }
  weigher.add_to(maximum, task.sum + row);
  // Products take 32 keys at once: those around the ones that are seen weigh nothing.
  const auto clear = [&](std::int32_t begin, std::int32_t stop) {
    for (std::int32_t pair = begin / 2; pair < stop / 2; ++pair) {
      for (int v = 0; v < kHalfVectors; ++v) _mm512_store_ps(at(pair, v), _mm512_setzero_ps());
    }
  };
  clear(0, first);
  clear(end, kDepth);
  return maximum.changed;
}

bool softmax(const SoftmaxTask& task) {
  bool changed = false;
  for (std::int32_t half = 0; half < halves_of(task.shape); ++half) changed |= softmax_half(task, half);
  return changed;
}

/// Weights of the tiles' keys times 32 value columns from `column` on, or the last 16, for a half block.
template <bool kBothA>
HWY_INLINE void accumulate_columns(std::span<const WeightedTile> tiles, std::int32_t column, std::int32_t head_dim,
                                   std::int32_t half, float* out) {
  float* const sums = out + column * kRows + half * kWide;
  load_sums<kBothA>(sums, kOutStride);
  for (const WeightedTile& t : tiles) {
    const std::int32_t step = t.first_key / kDepth;
    const auto* const v =
        static_cast<const std::uint16_t*>(t.values) + value_tile(column / tile::kRows, step, head_dim / tile::kRows);
    const auto* const w = static_cast<const float*>(t.weights) + (step * kRowTiles + half * kHalfVectors) * kTilePairs;
    multiply<kBothA>(v, v + kTileElements, w, w + kTilePairs);
  }
  store_sums<kBothA>(sums, kOutStride);
}

void accumulate(std::span<const WeightedTile> tiles, const TileShape& shape, const float* HWY_RESTRICT factors,
                float* HWY_RESTRICT out) {
  const std::int32_t halves = halves_of(shape);
  if (factors != nullptr) {
    for (std::int32_t c = 0; c < shape.head_dim; ++c) {
      for (std::int32_t r = 0; r < halves * kWide; r += kLanes) {
        float* const at = out + c * kRows + r;
        _mm512_store_ps(at, _mm512_mul_ps(_mm512_load_ps(at), _mm512_load_ps(factors + r)));
      }
    }
  }
  // One half after the other: its weights stay in L1, the values stream from L2.
  for (std::int32_t half = 0; half < halves; ++half) {
    for (std::int32_t c = 0; c < shape.head_dim; c += kWide) {
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
                                         .max_rows = 1536,  // AMX comes with 2 MiB of L2
                                         .span_keys = kWide,
                                         .score_rows = kWide,
                                         .query_block_bytes = query_block_bytes,
                                         .tile_bytes = tile_bytes,
                                         .weight_tile_bytes = kTileKeys / kDepth * kRowTiles * tile::kBytes,
                                         .enter = enter,
                                         .leave = leave,
                                         .pack_queries = pack_queries,
                                         .pack_keys = pack_keys,
                                         .pack_values = pack_values,
                                         .score = score,
                                         .mask = mask,
                                         .softmax = softmax,
                                         .accumulate = accumulate,
                                         .reduce_columns = reduce_columns,
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
