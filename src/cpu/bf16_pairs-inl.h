// What the AVX-512 paths for bf16 share: pairs of bf16 in the lanes of floats, for queries and weights. Included by
// files that Highway compiles for AVX3 alone, within their attributes and namespace.
#if defined(TCA_CPU_BF16_PAIRS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TCA_CPU_BF16_PAIRS_INL_H_
#undef TCA_CPU_BF16_PAIRS_INL_H_
#else
#define TCA_CPU_BF16_PAIRS_INL_H_
#endif

#include "cpu/tile-inl.h"

#if HWY_TARGET == HWY_AVX3
#include <immintrin.h>

HWY_BEFORE_NAMESPACE();
namespace tca::cpu {
namespace HWY_NAMESPACE {

/// [head_dim / 2][R] pairs.
inline void pack_query_pairs(const void* const* rows, std::int32_t count, std::int32_t head_dim, void* packed) {
  HWY_ALIGN static constexpr float kZeros[kMaxHeadDim / 2] = {};
  for (std::int32_t r = 0; r < kBlockRows; r += kTurn) {
    const float* pairs[kTurn];
    for (std::int32_t i = 0; i < kTurn; ++i) pairs[i] = r + i < count ? static_cast<const float*>(rows[r + i]) : kZeros;
    turn_rows_in(pairs, head_dim / 2, static_cast<float*>(packed) + r);
  }
}

/// Weights of two keys, rounded to the nearest bf16 (weights are positive and finite: half an ulp and a cut), as pairs.
HWY_INLINE FloatVec pair_weights(FloatVec even, FloatVec odd, __m512i upper_halves) {
  const hn::RebindToUnsigned<FloatTag> du32;
  const auto half_ulp = hn::Set(du32, 0x8000u);
  const auto low = hn::Add(hn::BitCast(du32, even), half_ulp), high = hn::Add(hn::BitCast(du32, odd), half_ulp);
  return FloatVec{_mm512_castsi512_ps(_mm512_permutex2var_epi16(low.raw, upper_halves, high.raw))};
}

template <int kVectors>
HWY_INLINE bool softmax_block(const TileShape& shape, float log2_scale, const float* HWY_RESTRICT tile_max,
                              float* scores, float* HWY_RESTRICT max, float* HWY_RESTRICT sum,
                              float* HWY_RESTRICT factors) {
  const FloatTag df;
  const FloatVec scale = hn::Set(df, log2_scale);
  RowMaximum<kVectors> maximum;
  raise_maximum(log2_scale, tile_max, max, factors, maximum);
  // 16-bit element 2 i of a pair vector is the upper half of lane i of the first operand, 2 i + 1 of the second.
  const __m512i first_upper = _mm512_set1_epi32(0x00210001);
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i upper_halves = _mm512_add_epi32(first_upper, _mm512_mullo_epi32(lane, _mm512_set1_epi32(0x00020002)));
  FloatVec sums[kVectors];
  for (int v = 0; v < kVectors; ++v) sums[v] = hn::Zero(df);
  const auto weigh = [&](const float* from, int v)
                         HWY_ATTR { return exp2<4>(df, hn::Mul(hn::Sub(hn::Load(df, from), maximum.max[v]), scale)); };
  // Pairs of rows shrink to one: what is written was read before. An odd last key has a padding of -infinity after it.
  for (std::int32_t j = shape.first_key; j < shape.end_key; j += 2) {
    HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v) {
      const float* const from = scores + j * kBlockRows + v * kLanes;
      const FloatVec even = weigh(from, v), odd = weigh(from + kBlockRows, v);
      sums[v] = hn::Add(sums[v], hn::Add(even, odd));
      hn::Store(pair_weights(even, odd, upper_halves), df, scores + j / 2 * kBlockRows + v * kLanes);
    }
  }
  update_sums(maximum, sums, sum);
  return maximum.changed;
}

inline bool softmax_pairs(const TileShape& shape, float log2_scale, const float* tile_max, float* scores, float* max,
                          float* sum, float* factors) {
  bool changed = false;
  with_row_vectors(shape.rows, [&](auto vectors) HWY_ATTR {
    changed = softmax_block<vectors.value>(shape, log2_scale, tile_max, scores, max, sum, factors);
  });
  return changed;
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_AFTER_NAMESPACE();
#endif

#endif
