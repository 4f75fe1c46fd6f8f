// Row kernels on AVX-512 bf16 dot products: keys are used as they lie in their page, values two at a time, so that
// nothing is widened. See avx512_bf16.cc for how this file is compiled.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/avx512_bf16_rows.cc"
#include "hwy/foreach_target.h"
//
#include "cpu/bf16_pairs-inl.h"
#include "cpu/row-inl.h"
#include "cpu/targets.h"

#if HWY_TARGET == HWY_AVX3
#include <immintrin.h>

#include <cstring>

HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512bf16")
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace {

constexpr std::int32_t kPairLanes = 2 * kLanes;  // bf16 elements of a vector

/// bf16 elements [0, count) of a row, count at most kPairLanes; zeros beyond.
HWY_INLINE __m512i load_bf16(const std::uint16_t* row, std::int32_t count) {
  if (count >= kPairLanes) return _mm512_loadu_si512(row);
  return _mm512_maskz_loadu_epi16((__mmask32{1} << count) - 1, row);
}

HWY_INLINE FloatVec dot_pairs(FloatVec sum, __m512i a, __m512i b) {
  return FloatVec{_mm512_dpbf16_ps(sum.raw, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b))};
}

/// The row, zeros up to whole vectors.
std::size_t query_bytes(std::int32_t head_dim) {
  return static_cast<std::size_t>((head_dim + kPairLanes - 1) / kPairLanes) * kAlignment;
}

void pack_query(const void* row, DType, std::int32_t head_dim, void* packed) {
  for (std::int32_t c = 0; c < head_dim; c += kPairLanes) {
    const __m512i q = load_bf16(static_cast<const std::uint16_t*>(row) + c, head_dim - c);
    _mm512_store_si512(static_cast<std::uint16_t*>(packed) + c, q);
  }
}

/// scores[r][j] = q_r . k_j, 16 keys a time: turned around in registers, keys run along the lanes, so that no row needs
/// horizontal sums.
template <int kRows>
void score_page(const std::uint16_t* HWY_RESTRICT queries, std::int32_t head_dim, const KvPageView& page,
                const void* next, float (*HWY_RESTRICT scores)[kTileKeys]) {
  constexpr int kChains = 8 / kRows;  // accumulators of a row: 8 in flight cover the latency
  const FloatTag df;
  const auto* const keys = static_cast<const std::uint16_t*>(page.k);
  const std::size_t query_stride = query_bytes(head_dim) / sizeof(std::int32_t);
  const std::size_t row_bytes = sizeof(std::uint16_t) * head_dim;
  constexpr std::size_t kChunkBytes = kLanes * kAlignment;  // kPairLanes columns of kLanes keys
  for (std::int32_t first = 0; first < page.count; first += kLanes) {
    FloatVec sum[kRows][kChains];
    for (int r = 0; r < kRows; ++r) {
      for (int chain = 0; chain < kChains; ++chain) sum[r][chain] = hn::Zero(df);
    }
    for (std::int32_t c = 0; c < head_dim; c += kPairLanes) {
      __m512i k[kLanes];
      HWY_UNROLL(16)
      for (std::int32_t j = 0; j < kLanes; ++j) {
        const std::int32_t slot = std::min(first + j, page.count - 1);  // beyond the last: scores nobody sees
        k[j] = load_bf16(keys + slot * head_dim + c, head_dim - c);
      }
      // These keys' share of the next page, in equal parts.
      prefetch(next, first * row_bytes + c * kChunkBytes / kPairLanes, kChunkBytes);
      transpose_lanes(k);
      const auto* const pairs = reinterpret_cast<const std::int32_t*>(queries) + c / 2;
      HWY_UNROLL(4)
      for (int r = 0; r < kRows; ++r) {
        HWY_UNROLL(16)
        for (int i = 0; i < kLanes; ++i) {
          sum[r][i % kChains] = dot_pairs(sum[r][i % kChains], k[i], _mm512_set1_epi32(pairs[r * query_stride + i]));
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int chain = 1; chain < kChains; ++chain) sum[r][0] = hn::Add(sum[r][0], sum[r][chain]);
      hn::Store(sum[r][0], df, scores[r] + first);
    }
  }
}

/// Weights in bf16, to the nearest.
HWY_INLINE void round_weights(const float* HWY_RESTRICT weights, std::uint16_t* HWY_RESTRICT rounded) {
  for (std::int32_t j = 0; j < kTileKeys; j += kLanes) {
    const __m256bh pairs = _mm512_cvtneps_pbh(_mm512_load_ps(weights + j));
    _mm256_store_si256(reinterpret_cast<__m256i*>(rounded + j), reinterpret_cast<__m256i>(pairs));
  }
}

/// out[r][c..] = out[r][c..] * decay[r] + sum over j of weights[r][j] * v_j[c..], for kRows rows and `columns` columns:
/// kPairLanes a vector, of which the last may be half full.
template <int kRows, int kVectors>
HWY_INLINE void accumulate_columns(const std::uint16_t (*HWY_RESTRICT weights)[kTileKeys], std::int32_t head_dim,
                                   const std::uint16_t* values, const std::uint16_t* next, std::int32_t columns,
                                   std::int32_t count, const float* HWY_RESTRICT decay, float* HWY_RESTRICT out) {
  const FloatTag df;
  // Element pairs of two values, in their order: the first, then the second half of the columns.
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i first_half =
      _mm512_add_epi32(_mm512_set1_epi32(0x00200000), _mm512_or_si512(lane, _mm512_slli_epi32(lane, 16)));
  const __m512i second_half = _mm512_add_epi32(first_half, _mm512_set1_epi32(0x00100010));
  const auto in_use = [&](int v) { return v * kLanes < columns; };
  FloatVec sum[kRows][2 * kVectors];
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < 2 * kVectors; ++v) {
      sum[r][v] =
          in_use(v) ? hn::Mul(hn::Load(df, out + r * head_dim + v * kLanes), hn::Set(df, decay[r])) : hn::Zero(df);
    }
  }
  for (std::int32_t j = 0; j < count; j += 2) {
    prefetch(next, j * head_dim * sizeof(std::uint16_t), columns * sizeof(std::uint16_t));
    prefetch(next, (j + 1) * head_dim * sizeof(std::uint16_t), columns * sizeof(std::uint16_t));
    __m512i pairs[2 * kVectors];
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v) {
      const std::int32_t c = v * kPairLanes;
      const std::uint16_t* const value = values + j * head_dim + c;
      const __m512i even = load_bf16(value, columns - c);
      const __m512i odd = j + 1 < count ? load_bf16(value + head_dim, columns - c) : _mm512_setzero_si512();
      pairs[2 * v] = _mm512_permutex2var_epi16(even, first_half, odd);
      pairs[2 * v + 1] = _mm512_permutex2var_epi16(even, second_half, odd);
    }
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) {
      std::int32_t weight_pair;
      std::memcpy(&weight_pair, weights[r] + j, sizeof(weight_pair));
      const __m512i weight = _mm512_set1_epi32(weight_pair);
      HWY_UNROLL(4)
      for (int v = 0; v < 2 * kVectors; ++v) sum[r][v] = dot_pairs(sum[r][v], pairs[v], weight);
    }
  }
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < 2 * kVectors; ++v) {
      if (in_use(v)) hn::Store(sum[r][v], df, out + r * head_dim + v * kLanes);
    }
  }
}

template <int kRows>
void attend_page_rows(const std::uint16_t* queries, std::int32_t head_dim, const KvPageView& page,
                      const KvPageView& next, const std::int32_t* visible, float log2_scale, float* max, float* sum,
                      float* out) {
  HWY_ALIGN float weights[kRows][kTileKeys];
  HWY_ALIGN std::uint16_t rounded[kRows][kTileKeys];
  float decay[kRows];
  score_page<kRows>(queries, head_dim, page, next.k, weights);
  std::int32_t count = 0;
  for (int r = 0; r < kRows; ++r) {
    decay[r] = weigh_row(weights[r], visible[r], log2_scale, max[r], sum[r]);
    round_weights(weights[r], rounded[r]);
    count = std::max(count, visible[r]);
  }
  const auto* const values = static_cast<const std::uint16_t*>(page.v);
  const auto* const next_values = static_cast<const std::uint16_t*>(next.v);
  std::int32_t c = 0;
  for (; c + 2 * kPairLanes <= head_dim; c += 2 * kPairLanes) {
    accumulate_columns<kRows, 2>(rounded, head_dim, values + c, next_values + c, 2 * kPairLanes, count, decay, out + c);
  }
  for (; c < head_dim; c += kPairLanes) {
    const std::int32_t columns = std::min(kPairLanes, head_dim - c);
    accumulate_columns<kRows, 1>(rounded, head_dim, values + c, next_values + c, columns, count, decay, out + c);
  }
}

void attend_page(const void* queries, std::int32_t rows, std::int32_t head_dim, const KvPageView& page,
                 const KvPageView& next, DType, const std::int32_t* visible, float log2_scale, float* max, float* sum,
                 float* out) {
  const auto* const q = static_cast<const std::uint16_t*>(queries);
  const std::size_t query_stride = query_bytes(head_dim) / sizeof(std::uint16_t);
  for_row_groups(rows, [&](std::int32_t r, auto count) HWY_ATTR {
    attend_page_rows<count.value>(q + r * query_stride, head_dim, page, next, visible + r, log2_scale, max + r, sum + r,
                                  out + r * head_dim);
  });
}

}  // namespace

constexpr RowKernels kBf16RowKernels = {
    .query_bytes = query_bytes, .pack_query = pack_query, .attend_page = attend_page, .squared_norm = nullptr};

}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_POP_ATTRIBUTES
#endif

#if HWY_ONCE

namespace tca::cpu {

const RowKernels* avx512_bf16_row_kernels() {
#if HWY_TARGETS & HWY_AVX3
  return has_avx512_bf16() ? &N_AVX3::kBf16RowKernels : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace tca::cpu
#endif
