// How weights and rows of x lie while they are multiplied in fp32 (fp32_product.cc), and how they get there. Included
// once per Highway target.
#if defined(TCA_MODEL_FP32_PANELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TCA_MODEL_FP32_PANELS_INL_H_
#undef TCA_MODEL_FP32_PANELS_INL_H_
#else
#define TCA_MODEL_FP32_PANELS_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/half.h"
#include "runtime/model/fp32_product.h"
#include "runtime/model/int8.h"

HWY_BEFORE_NAMESPACE();
namespace tca::runtime::fp32 {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::CappedTag<float, 16>;
using VF = hn::Vec<F32>;

constexpr std::int64_t kLanes = hn::MaxLanes(F32());
constexpr std::int64_t kPanel = 2 * kLanes;  // columns that are packed side by side
static_assert(int8::kChannels % kPanel == 0);
// Floats from one packed row of x to the next: a constant, so that the rows of a tile are displacements of one pointer;
// an odd number of cache lines, so that they spread over the sets of the caches, which rows of 2^n elements do not.
constexpr std::int64_t kRowStride = kSumElements + 16;

// Squares of 32-bit lanes are turned around, of a register of 256 bits at most.
using Lane = hn::CappedTag<std::uint32_t, 8>;
constexpr std::int64_t kSquare = hn::MaxLanes(Lane());

/// Lane j of v[i] becomes lane i of v[j].
HWY_INLINE void transpose([[maybe_unused]] hn::Vec<Lane> (&v)[kSquare]) {
#if HWY_TARGET != HWY_SCALAR
  const Lane d;
  const hn::Repartition<std::uint64_t, Lane> d2;
  hn::Vec<Lane> pairs[kSquare];
  for (int i = 0; i < kSquare; i += 2) {
    pairs[i] = hn::InterleaveLower(d, v[i], v[i + 1]);
    pairs[i + 1] = hn::InterleaveUpper(d, v[i], v[i + 1]);
  }
  for (int i = 0; i < kSquare; i += 4) {
    for (int half = 0; half < 2; ++half) {
      const auto a = hn::BitCast(d2, pairs[i + half]), b = hn::BitCast(d2, pairs[i + 2 + half]);
      v[i + 2 * half] = hn::BitCast(d, hn::InterleaveLower(d2, a, b));
      v[i + 2 * half + 1] = hn::BitCast(d, hn::InterleaveUpper(d2, a, b));
    }
  }
  if constexpr (kSquare == 8) {
    for (int i = 0; i < 4; ++i) {
      const auto low = v[i], high = v[i + 4];
      v[i] = hn::ConcatLowerLower(d, high, low);
      v[i + 4] = hn::ConcatUpperUpper(d, high, low);
    }
  }
#endif
}

/// Elements [0, n) of kSquare columns to packed[element][kPanel].
HWY_INLINE void pack_square_columns(const std::uint16_t* weight, std::int64_t stride, std::int64_t n,
                                    float* HWY_RESTRICT packed) {
  const Lane d;
  std::int64_t i = 0;
  for (; i + 2 * kSquare <= n; i += 2 * kSquare) {
    hn::Vec<Lane> pairs[kSquare];
    for (int c = 0; c < kSquare; ++c) {
      pairs[c] = hn::LoadU(d, reinterpret_cast<const std::uint32_t*>(weight + c * stride + i));
    }
    transpose(pairs);
    for (int p = 0; p < kSquare; ++p) {
      auto* const to = reinterpret_cast<std::uint32_t*>(packed + (i + 2 * p) * kPanel);
      hn::StoreU(hn::ShiftLeft<16>(pairs[p]), d, to);
      hn::StoreU(hn::And(pairs[p], hn::Set(d, 0xffff0000)), d, to + kPanel);
    }
  }
  for (; i < n; ++i) {
    for (int c = 0; c < kSquare; ++c) packed[i * kPanel + c] = bf16_to_float(weight[c * stride + i]);
  }
}

HWY_INLINE void pack_square_columns(const float* weight, std::int64_t stride, std::int64_t n,
                                    float* HWY_RESTRICT packed) {
  const Lane d;
  std::int64_t i = 0;
  for (; i + kSquare <= n; i += kSquare) {
    hn::Vec<Lane> values[kSquare];
    for (int c = 0; c < kSquare; ++c) {
      values[c] = hn::LoadU(d, reinterpret_cast<const std::uint32_t*>(weight + c * stride + i));
    }
    transpose(values);
    for (int e = 0; e < kSquare; ++e) {
      hn::StoreU(values[e], d, reinterpret_cast<std::uint32_t*>(packed + (i + e) * kPanel));
    }
  }
  for (; i < n; ++i) {
    for (int c = 0; c < kSquare; ++c) packed[i * kPanel + c] = weight[c * stride + i];
  }
}

HWY_INLINE float as_float(float v) { return v; }
HWY_INLINE float as_float(std::uint16_t v) { return bf16_to_float(v); }

/// Elements [0, n) of `columns` columns, with zeros for columns that are not there.
template <class T>
void pack_panel(const T* weight, std::int64_t stride, std::int64_t n, std::int64_t columns, float* packed) {
  if (columns < kPanel) std::fill_n(packed, n * kPanel, 0.0f);
  std::int64_t c = 0;
  for (; c + kSquare <= columns; c += kSquare) pack_square_columns(weight + c * stride, stride, n, packed + c);
  for (; c < columns; ++c) {
    for (std::int64_t i = 0; i < n; ++i) packed[i * kPanel + c] = as_float(weight[c * stride + i]);
  }
}

HWY_INLINE VF widen(const float* p) { return hn::LoadU(F32(), p); }
HWY_INLINE VF widen(const std::uint16_t* p) {
  const hn::RebindToUnsigned<F32> bits;
  const hn::Rebind<std::uint16_t, F32> halves;
  return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(bits, hn::LoadU(halves, p))));
}

/// Of a weight whose columns lie side by side.
template <class T>
void pack_transposed_panel(const T* weight, std::int64_t stride, std::int64_t n, std::int64_t columns,
                           float* HWY_RESTRICT packed) {
  if (columns < kPanel) std::fill_n(packed, n * kPanel, 0.0f);
  for (std::int64_t i = 0; i < n; ++i, weight += stride, packed += kPanel) {
    if (columns == kPanel) {
      hn::Store(widen(weight), F32(), packed);
      hn::Store(widen(weight + kLanes), F32(), packed + kLanes);
    } else {
      for (std::int64_t c = 0; c < columns; ++c) packed[c] = as_float(weight[c]);
    }
  }
}

/// Of a group of int8 weights (model/int8.h), which lies in panels of kChannels columns already.
inline void pack_panel(const std::int8_t* weight, const float* scales, std::int64_t n, float* HWY_RESTRICT packed) {
  const F32 d;
  const hn::RebindToSigned<F32> d32;
  const hn::Rebind<std::int8_t, F32> d8;
  const VF low = hn::LoadU(d, scales), high = hn::LoadU(d, scales + kLanes);
  for (std::int64_t i = 0; i < n; ++i, weight += int8::kChannels, packed += kPanel) {
    const auto a = hn::PromoteTo(d32, hn::LoadU(d8, weight)), b = hn::PromoteTo(d32, hn::LoadU(d8, weight + kLanes));
    hn::Store(hn::Mul(hn::ConvertTo(d, a), low), d, packed);
    hn::Store(hn::Mul(hn::ConvertTo(d, b), high), d, packed + kLanes);
  }
}

template <class T>
void pack_rows(const T* x, std::int64_t stride, std::int64_t n, std::int64_t rows, float* HWY_RESTRICT packed) {
  for (std::int64_t row = 0; row < rows; ++row, x += stride, packed += kRowStride) {
    if constexpr (sizeof(T) == sizeof(float)) {
      std::memcpy(packed, x, static_cast<std::size_t>(n) * sizeof(float));
    } else {
      for (std::int64_t i = 0; i < n; ++i) packed[i] = bf16_to_float(x[i]);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::runtime::fp32
HWY_AFTER_NAMESPACE();

#endif
