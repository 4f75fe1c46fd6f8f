// Tile kernels on AMX: 16 x 16 sums of 32 bf16 products an instruction, eight times AVX-512's. K rows and the columns
// of V are the A operand, packed queries and weights the B operand. Sums are 16 x 32, of one A and two B tiles (8
// cycles each from L1) for two products (16 cycles each); see Staggered for how two such sums cover a product's 52
// cycles.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/amx_bf16.cc"
#include "hwy/foreach_target.h"
//
#include <array>
#include <type_traits>

#include "cpu/bf16_pairs-inl.h"
#include "cpu/targets.h"

#if HWY_TARGET == HWY_AVX3
#include "cpu/amx_tiles-inl.h"

HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512bf16,amx-tile,amx-bf16")
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace {

constexpr std::int32_t kRows = 64;      // of a block
constexpr std::int32_t kHalfRows = 32;  // of a sum
constexpr std::int32_t kDepth = 32;     // elements, or keys, that one product sums over
constexpr std::int32_t kSpanKeys = 32;
constexpr std::int32_t kSpanTiles = kSpanKeys / tile::kRows;
constexpr std::int32_t kChunkSteps = kChunkTiles * kTileKeys / kDepth;
constexpr std::int32_t kRowTiles = kRows / tile::kRows;
constexpr std::int32_t kHalfVectors = kHalfRows / kLanes;
constexpr std::int32_t kHalfScores = kSpanKeys * kHalfRows;
constexpr std::int32_t kTileElements = tile::kRows * kDepth;     // bf16, of an A tile
constexpr std::int32_t kTilePairs = tile::kRows * kLanes;        // of a B tile
constexpr std::size_t kScoreStride = kHalfRows * sizeof(float);  // bytes from key to key
constexpr std::size_t kOutStride = kRows * sizeof(float);        // bytes from value column to value column
static_assert(kLanes == tile::kRows && kHeadDimStep == tile::kRows && kRows <= kMaxBlockRows);
static_assert(kSpanKeys >= kMinSpanKeys && kSpanKeys % kDepth == 0);

constexpr std::int32_t round_up(std::int32_t n, std::int32_t step) { return (n + step - 1) / step * step; }
constexpr std::int32_t depth_steps(std::int32_t head_dim) { return (head_dim + kDepth - 1) / kDepth; }
/// Halves of a block that have rows.
constexpr std::int32_t halves_of(const TileShape& shape) { return shape.rows > kHalfRows ? 2 : 1; }

/// Sums that a Staggered works on two at a time: kSet 0 in tiles 0 and 1, kSet 1 in tiles 2 and 3.
template <int kSet>
HWY_INLINE void zero_sums() {
  tile::zero<2 * kSet>();
  tile::zero<2 * kSet + 1>();
}
template <int kSet>
HWY_INLINE void load_sums(const float* from, std::size_t stride) {
  tile::load<2 * kSet>(from, stride);
  tile::load<2 * kSet + 1>(from + kLanes, stride);
}
template <int kSet>
HWY_INLINE void store_sums(float* to, std::size_t stride) {
  tile::store<2 * kSet>(to, stride);
  tile::store<2 * kSet + 1>(to + kLanes, stride);
}
template <int kSet>
HWY_INLINE void multiply(const std::uint16_t* a, const float* b0, const float* b1) {
  tile::load<4 + kSet>(a, tile::kRowBytes);
  tile::load<6>(b0, tile::kRowBytes);
  tile::load<7>(b1, tile::kRowBytes);
  tile::multiply<2 * kSet, 4 + kSet, 6>();
  tile::multiply<2 * kSet + 1, 4 + kSet, 7>();
}

/// Takes sums 0 to count - 1 of `depth` products each, the second half of one beside the first half of the next, so
/// that the tile unit has work while a sum that is complete leaves for memory and another takes its registers. Task:
/// template <int kSet> begin(i), step(i, s), end(i).
template <class Task>
HWY_INLINE void staggered(const Task& task, std::int32_t count, std::int32_t depth) {
  const std::int32_t first_half = depth / 2, second_half = depth - first_half;
  const auto phase = [&](auto set, std::int32_t i) HWY_ATTR {
    constexpr int kSet = set.value, kBefore = 1 - kSet;
    if (i < count) task.template begin<kSet>(i);
    for (std::int32_t s = 0; s < second_half; ++s) {
      if (i > 0) task.template step<kBefore>(i - 1, first_half + s);
      if (i < count && s < first_half) task.template step<kSet>(i, s);
    }
    if (i > 0) task.template end<kBefore>(i - 1);
  };
  for (std::int32_t i = 0; i <= count; i += 2) {
    phase(std::integral_constant<int, 0>(), i);
    if (i < count) phase(std::integral_constant<int, 1>(), i + 1);
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

/// Where the tile of 16 value columns and 32 keys is: [head_dim / 16][keys / 32] tiles of [16 elements][32 keys].
constexpr std::int32_t value_tile(std::int32_t column_tile, std::int32_t key_step) {
  return (column_tile * (kTileKeys / kDepth) + key_step) * kTileElements;
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
      std::uint16_t* const to = tiles + value_tile(c / kLanes, first / kDepth);
      for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * kDepth, pairs[i]);
    }
  }
}

/// The part of a shape that lies in a half of the block, its keys counted from the span's first.
TileShape half_of(const TileShape& shape, std::int32_t half) {
  const std::int32_t base = shape.first_key / kSpanKeys * kSpanKeys;
  return {.rows = std::min(kHalfRows, shape.rows - half * kHalfRows),
          .first_key = shape.first_key - base,
          .end_key = shape.end_key - base,
          .head_dim = shape.head_dim};
}

/// The scores of a span, 16 keys by half a block at a time.
struct Scores {
  const std::uint16_t* keys;
  const float* queries;
  float* scores;
  std::int32_t depth;

  template <int kSet>
  HWY_INLINE void begin(std::int32_t) const {
    zero_sums<kSet>();
  }
  template <int kSet>
  HWY_INLINE void step(std::int32_t i, std::int32_t s) const {
    const float* const q = queries + (i / kSpanTiles * kHalfVectors * depth + s) * kTilePairs;
    multiply<kSet>(keys + (i % kSpanTiles * depth + s) * kTileElements, q, q + depth * kTilePairs);
  }
  template <int kSet>
  HWY_INLINE void end(std::int32_t i) const {
    store_sums<kSet>(scores + i / kSpanTiles * kHalfScores + i % kSpanTiles * tile::kRows * kHalfRows, kScoreStride);
  }
};

/// The maximum of keys [begin, end) for a half block's rows; top is [kHalfRows].
HWY_INLINE void take_maximum(const float* scores, std::int32_t begin, std::int32_t end, float* top) {
  __m512 low = _mm512_set1_ps(-std::numeric_limits<float>::infinity()), high = low;
  for (std::int32_t j = begin; j < end; ++j) {
    low = _mm512_max_ps(low, _mm512_load_ps(scores + j * kHalfRows));
    high = _mm512_max_ps(high, _mm512_load_ps(scores + j * kHalfRows + kLanes));
  }
  _mm512_store_ps(top, low);
  _mm512_store_ps(top + kLanes, high);
}

void score(const ScoreTask& task) {
  const std::int32_t depth = depth_steps(task.shape.head_dim), halves = halves_of(task.shape);
  const std::int32_t base = task.shape.first_key / kSpanKeys * kSpanKeys;
  const auto* const keys = static_cast<const std::uint16_t*>(task.keys) + base / tile::kRows * depth * kTileElements;
  staggered(Scores{keys, static_cast<const float*>(task.queries), task.scores, depth}, halves * kSpanTiles, depth);
  for (std::int32_t half = 0; half < halves; ++half) {
    const TileShape shape = half_of(task.shape, half);
    float* const scores = task.scores + half * kHalfScores;
    take_maximum(scores, shape.first_key, shape.end_key, task.span_max + half * kHalfRows);
    // Weights are taken two keys at a time: what follows an odd last key weighs nothing.
    const std::int32_t padded = round_up(shape.end_key, kKeyStep);
    std::fill(scores + shape.end_key * kHalfRows, scores + padded * kHalfRows, -std::numeric_limits<float>::infinity());
  }
}

void mask(const std::int32_t* row_positions, const std::int32_t* key_positions, const Visibility& visibility,
          const TileShape& shape, float* scores, float* span_max) {
  for (std::int32_t half = 0; half < halves_of(shape); ++half) {
    mask_tile<kHalfRows>(row_positions + half * kHalfRows, key_positions + shape.first_key / kSpanKeys * kSpanKeys,
                         visibility, half_of(shape, half), scores + half * kHalfScores, span_max + half * kHalfRows);
  }
}

void column_sums(const float* scores, const TileShape& shape, float scale, const float* lse, float* sums) {
  std::fill(sums + shape.first_key, sums + shape.end_key, 0.0f);
  for (std::int32_t half = 0; half < halves_of(shape); ++half) {
    const TileShape part = half_of(shape, half);
    float of_half[kSpanKeys];
    sum_columns<kHalfRows>(scores + half * kHalfScores, part, scale, lse + half * kHalfRows, of_half);
    float* const to = sums + shape.first_key / kSpanKeys * kSpanKeys;
    for (std::int32_t j = part.first_key; j < part.end_key; ++j) to[j] += of_half[j];
  }
}

/// Weights of a half block: [keys / 32][kRowTiles] tiles of [16 pairs][16 rows].
bool softmax_half(const SoftmaxTask& task, std::int32_t half) {
  const TileShape shape = half_of(task.shape, half);
  const std::int32_t row = half * kHalfRows, first = shape.first_key, end = round_up(shape.end_key, 2);
  const float* const scores = task.scores + half * kHalfScores;
  float* const weights =
      static_cast<float*>(task.weights) +
      (task.shape.first_key / kSpanKeys * (kSpanKeys / kDepth) * kRowTiles + half * kHalfVectors) * kTilePairs;
  RowMaximum<kHalfVectors> maximum;
  raise_maximum(task.log2_scale, task.span_max + row, task.max + row, task.factors + row, maximum);
  PairWeigher<kHalfVectors> weigher(task.log2_scale, maximum);
  const auto at = [&](std::int32_t pair, int v) {
    return weights + (pair / tile::kRows * kRowTiles + v) * kTilePairs + pair % tile::kRows * kLanes;
  };
  for (std::int32_t j = first; j < end; j += 2) {
    HWY_UNROLL(2)
    for (int v = 0; v < kHalfVectors; ++v) {
      const float* const from = scores + j * kHalfRows + v * kLanes;
      _mm512_store_si512(at(j / 2, v), weigher.weigh(v, from, from + kHalfRows));
    }
  }
  weigher.add_to(maximum, task.sum + row);
  // Products take 32 keys at once: those around the ones that are seen weigh nothing.
  const auto clear = [&](std::int32_t begin, std::int32_t stop) {
    for (std::int32_t pair = begin / 2; pair < stop / 2; ++pair) {
      for (int v = 0; v < kHalfVectors; ++v) _mm512_store_ps(at(pair, v), _mm512_setzero_ps());
    }
  };
  clear(first / kDepth * kDepth, first);
  clear(end, round_up(end, kDepth));
  return maximum.changed;
}

bool softmax(const SoftmaxTask& task) {
  bool changed = false;
  for (std::int32_t half = 0; half < halves_of(task.shape); ++half) changed |= softmax_half(task, half);
  return changed;
}

/// Half a block's weights of the tiles' keys times values, 16 columns at a time.
struct WeightedValues {
  struct Step {
    const std::uint16_t* values;  // of the first 16 columns
    const float* weights;
  };
  const Step* steps;
  float* out;

  template <int kSet>
  HWY_INLINE void begin(std::int32_t i) const {
    load_sums<kSet>(out + i * tile::kRows * kRows, kOutStride);
  }
  template <int kSet>
  HWY_INLINE void step(std::int32_t i, std::int32_t s) const {
    multiply<kSet>(steps[s].values + value_tile(i, 0), steps[s].weights, steps[s].weights + kTilePairs);
  }
  template <int kSet>
  HWY_INLINE void end(std::int32_t i) const {
    store_sums<kSet>(out + i * tile::kRows * kRows, kOutStride);
  }
};

void accumulate(std::span<const WeightedTile> tiles, const TileShape& shape, const float* HWY_RESTRICT factors,
                float* HWY_RESTRICT out) {
  const std::int32_t halves = halves_of(shape);
  if (factors != nullptr) {
    for (std::int32_t c = 0; c < shape.head_dim; ++c) {
      for (std::int32_t r = 0; r < halves * kHalfRows; r += kLanes) {
        float* const at = out + c * kRows + r;
        _mm512_store_ps(at, _mm512_mul_ps(_mm512_load_ps(at), _mm512_load_ps(factors + r)));
      }
    }
  }
  // One half after the other: its weights stay in L1, the values stream from L2.
  for (std::int32_t half = 0; half < halves; ++half) {
    std::array<WeightedValues::Step, kChunkSteps> steps;
    std::int32_t count = 0;
    for (const WeightedTile& t : tiles) {
      for (std::int32_t s = t.first_key / kDepth; s * kDepth < t.end_key; ++s) {
        steps[static_cast<std::size_t>(count++)] = {
            static_cast<const std::uint16_t*>(t.values) + value_tile(0, s),
            static_cast<const float*>(t.weights) + (s * kRowTiles + half * kHalfVectors) * kTilePairs};
      }
    }
    staggered(WeightedValues{steps.data(), out + half * kHalfRows}, shape.head_dim / tile::kRows, count);
  }
}

}  // namespace

constexpr TileKernels kAmxTileKernels = {.block_rows = kRows,
                                         .max_rows = 1536,  // AMX comes with 2 MiB of L2
                                         .span_keys = kSpanKeys,
                                         .score_rows = kHalfRows,
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
                                         .column_sums = column_sums,
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
