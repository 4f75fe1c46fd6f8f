// What the row kernels of all paths share: horizontal sums by the vector and the softmax of one row over a page.
// Included once per Highway target; see RowKernels in kernels.h.
#if defined(TCA_CPU_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TCA_CPU_ROW_INL_H_
#undef TCA_CPU_ROW_INL_H_
#else
#define TCA_CPU_ROW_INL_H_
#endif

#include "cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tca::cpu {
namespace HWY_NAMESPACE {

// Query rows in registers at once: 4 x 4 accumulators beside the vectors of a value row, half of that with 16
// registers.
constexpr std::int32_t kRowsAtOnce = kGroup / 2;

/// Lane j = sum of the lanes of partial[j], for kLanes vectors.
HWY_INLINE FloatVec sum_each(const float* HWY_RESTRICT partial) {
  const FloatTag df;
  FloatVec v[kLanes];
  HWY_UNROLL(16)
  for (std::int32_t j = 0; j < kLanes; ++j) v[j] = hn::Load(df, partial + j * kLanes);
#if HWY_TARGET != HWY_SCALAR
  HWY_UNROLL(4)
  for (std::int32_t width = kLanes / 2; width >= 1; width /= 2) {
    HWY_UNROLL(8)
    for (std::int32_t i = 0; i < width; ++i) {
      const FloatVec a = v[2 * i], b = v[2 * i + 1];
      v[i] = hn::Add(hn::ConcatEven(df, b, a), hn::ConcatOdd(df, b, a));
    }
  }
#endif
  return v[0];
}

/// Turns the first `visible` scores of a row into weights, the others into zeros. Returns what is to become of the
/// row's earlier result.
HWY_INLINE float weigh_row(float* HWY_RESTRICT scores, std::int32_t visible, float log2_scale, float& max, float& sum) {
  const FloatTag df;
  if (visible == 0) {
    std::fill_n(scores, kTileKeys, 0.0f);
    return 1.0f;
  }
  std::fill(scores + visible, scores + kTileKeys, -std::numeric_limits<float>::infinity());
  FloatVec top = hn::Set(df, max);
  for (std::int32_t j = 0; j < kTileKeys; j += kLanes) top = hn::Max(top, hn::Load(df, scores + j));
  const float before = max;
  max = hn::GetLane(hn::MaxOfLanes(df, top));
  const FloatVec reference = hn::Set(df, max), scale = hn::Set(df, log2_scale);
  FloatVec total = hn::Zero(df);
  for (std::int32_t j = 0; j < kTileKeys; j += kLanes) {
    const FloatVec weight = exp2(df, hn::Mul(hn::Sub(hn::Load(df, scores + j), reference), scale));
    total = hn::Add(total, weight);
    hn::Store(weight, df, scores + j);
  }
  const float decay = hn::GetLane(exp2(df, hn::Set(df, (before - max) * log2_scale)));
  sum = sum * decay + hn::GetLane(hn::SumOfLanes(df, total));
  return decay;
}

/// Calls attend(first row, number of rows as a constant) until `rows` are through.
template <class Attend>
HWY_INLINE void for_row_groups(std::int32_t rows, const Attend& attend) {
  for (std::int32_t r = 0; r < rows;) {
    if (rows - r >= kRowsAtOnce) {
      attend(r, std::integral_constant<int, kRowsAtOnce>());
      r += kRowsAtOnce;
    } else if (rows - r >= 2) {
      attend(r, std::integral_constant<int, 2>());
      r += 2;
    } else {
      attend(r, std::integral_constant<int, 1>());
      r += 1;
    }
  }
}

/// Fetches `bytes` bytes at an offset of the next page, while this page's are worked on: the hardware's own prefetchers
/// stop at the end of a page. Into L2: with head_dim 128 the next page alone would fill L1.
HWY_INLINE void prefetch(const void* base, std::size_t offset, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  for (std::size_t at = 0; at < bytes; at += kLine) {
    __builtin_prefetch(static_cast<const std::byte*>(base) + offset + at, 0, 2);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_AFTER_NAMESPACE();

#endif
