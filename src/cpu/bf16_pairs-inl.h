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

HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512bf16")
namespace tca::cpu {
namespace HWY_NAMESPACE {

/// [head_dim / 2][kRows] pairs.
template <std::int32_t kRows = kBlockRows>
void pack_query_pairs(const void* const* rows, std::int32_t count, std::int32_t head_dim, void* packed) {
  HWY_ALIGN static constexpr float kZeros[kMaxHeadDim / 2] = {};
  for (std::int32_t r = 0; r < kRows; r += kTurn) {
    const float* pairs[kTurn];
    for (std::int32_t i = 0; i < kTurn; ++i) pairs[i] = r + i < count ? static_cast<const float*>(rows[r + i]) : kZeros;
    turn_rows_in<kRows>(pairs, head_dim / 2, static_cast<float*>(packed) + r);
  }
}

/// rows[i] lane j becomes rows[j] lane i, for 16 vectors of 32-bit lanes.
HWY_INLINE void transpose_lanes(__m512i (&rows)[16]) {
  __m512i pairs[16];
  HWY_UNROLL(8)
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  __m512i quads[16];  // quads[4 q + c]: in 128-bit block b, lane 4 b + c of rows 4 q to 4 q + 3
  HWY_UNROLL(4)
  for (int i = 0; i < 16; i += 4) {
    quads[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
    quads[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
    quads[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    quads[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
  HWY_UNROLL(4)
  for (int c = 0; c < 4; ++c) {
    const __m512i low01 = _mm512_shuffle_i32x4(quads[c], quads[4 + c], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(quads[c], quads[4 + c], 0xee);
    const __m512i low23 = _mm512_shuffle_i32x4(quads[8 + c], quads[12 + c], 0x44);
    const __m512i high23 = _mm512_shuffle_i32x4(quads[8 + c], quads[12 + c], 0xee);
    rows[c] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    rows[4 + c] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    rows[8 + c] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    rows[12 + c] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
}

/// What is too small for a normal number counts as zero, at full speed: denormal results would take a hundred cycles
/// each, and bf16 products take them for zeros anyway. For kernels' enter() and leave(); returns the modes before.
inline unsigned flush_denormals() {
  constexpr unsigned kFlushToZero = 0x8000;
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | kFlushToZero);
  return before;
}
inline void restore_modes(unsigned before) { _mm_setcsr(before); }

/// 2^x for x < 128, within 3e-6 of the value: for weights that are rounded to bf16 next. Half the instructions of
/// exp2() in exp-inl.h. Exactly a power of two for integers and 0 for -infinity; the polynomial is minimax for the
/// relative error on [0, 1) with a constant term of 1.
HWY_INLINE __m512 exp2_weights(__m512 x) {
  constexpr int kFraction = 0x09;  // x - floor(x), without signalling that it is inexact
  const __m512 r = _mm512_reduce_ps(x, kFraction);
  __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.013426686f), r, _mm512_set1_ps(0.052242473f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.24128021f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.69304484f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, x);
}

/// Weights of two keys, rounded to the nearest bf16 (weights are positive and finite: half an ulp and a cut), as pairs.
HWY_INLINE __m512i pair_weights(__m512 even, __m512 odd) {
  const __m512i half_ulp = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32(static_cast<int>(0xffff0000));
  const __m512i low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(even), half_ulp), 16);
  const __m512i high = _mm512_add_epi32(_mm512_castps_si512(odd), half_ulp);
  constexpr int kSelect = 0xca;  // where the first operand has ones the second, else the third
  return _mm512_ternarylogic_epi32(upper, high, low, kSelect);
}

/// Weights against the maxima of kVectors vectors of rows, and their sums.
template <int kVectors>
struct PairWeigher {
  __m512 scale, shift[kVectors], even_sums[kVectors], odd_sums[kVectors];

  HWY_INLINE PairWeigher(float log2_scale, const RowMaximum<kVectors>& maximum) : scale(_mm512_set1_ps(log2_scale)) {
    for (int v = 0; v < kVectors; ++v) {
      shift[v] = _mm512_mul_ps(maximum.max[v].raw, _mm512_set1_ps(-log2_scale));
      even_sums[v] = odd_sums[v] = _mm512_setzero_ps();
    }
  }
  /// Of two keys.
  HWY_INLINE __m512i weigh(int v, const float* even_scores, const float* odd_scores) {
    const __m512 even = exp2_weights(_mm512_fmadd_ps(_mm512_load_ps(even_scores), scale, shift[v]));
    const __m512 odd = exp2_weights(_mm512_fmadd_ps(_mm512_load_ps(odd_scores), scale, shift[v]));
    even_sums[v] = _mm512_add_ps(even_sums[v], even);
    odd_sums[v] = _mm512_add_ps(odd_sums[v], odd);
    return pair_weights(even, odd);
  }
  HWY_INLINE void add_to(const RowMaximum<kVectors>& maximum, float* HWY_RESTRICT sum) const {
    FloatVec sums[kVectors];
    for (int v = 0; v < kVectors; ++v) sums[v] = FloatVec{_mm512_add_ps(even_sums[v], odd_sums[v])};
    update_sums(maximum, sums, sum);
  }
};

/// Scores [keys][kBlockRows] to weights [keys / 2][kBlockRows] in pairs, for kVectors vectors of rows.
template <int kVectors>
bool softmax_rows(const SoftmaxTask& task) {
  const float* HWY_RESTRICT scores = task.scores;
  auto* HWY_RESTRICT weights = static_cast<float*>(task.weights);
  RowMaximum<kVectors> maximum;
  raise_maximum(task.log2_scale, task.span_max, task.max, task.factors, maximum);
  PairWeigher<kVectors> weigher(task.log2_scale, maximum);
  // An odd last key has a padding of -infinity after it.
  for (std::int32_t j = task.shape.first_key; j < task.shape.end_key; j += 2) {
    HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v) {
      const float* const from = scores + j * kBlockRows + v * kLanes;
      _mm512_store_si512(weights + j / 2 * kBlockRows + v * kLanes, weigher.weigh(v, from, from + kBlockRows));
    }
  }
  weigher.add_to(maximum, task.sum);
  return maximum.changed;
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_POP_ATTRIBUTES
#endif

#endif
