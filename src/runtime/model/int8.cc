#include "runtime/model/int8.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/half.h"
#include "runtime/model/packing.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/model/int8.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tca::runtime::int8 {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::CappedTag<float, kChannels>;
using I32 = hn::RebindToSigned<F32>;
using U32 = hn::RebindToUnsigned<F32>;
using I8 = hn::Rebind<std::int8_t, F32>;
using U16 = hn::Rebind<std::uint16_t, F32>;
using VF = hn::Vec<F32>;

constexpr std::int64_t kLanes = hn::MaxLanes(F32());
constexpr int kVectors = static_cast<int>(kChannels / kLanes);  // of a group's sums
// Sums of 16 vectors of 32 stay in registers beside weights and x, of one row otherwise.
constexpr int kTileRows = kLanes >= 16 ? 2 : 1;

HWY_INLINE VF widened(const std::int8_t* p) { return hn::ConvertTo(F32(), hn::PromoteTo(I32(), hn::LoadU(I8(), p))); }

/// Two neighbouring elements of x, each in all lanes.
struct Two {
  VF a, b;
};
HWY_INLINE Two broadcast_two(const float* x) { return {hn::Set(F32(), x[0]), hn::Set(F32(), x[1])}; }
HWY_INLINE Two broadcast_two(const std::uint16_t* x) {
  const U32 d;
  std::uint32_t bits;
  std::memcpy(&bits, x, sizeof(bits));  // one load in place of two and a move each
  const auto pair = hn::Set(d, bits);
  return {hn::BitCast(F32(), hn::ShiftLeft<16>(pair)), hn::BitCast(F32(), hn::And(pair, hn::Set(d, 0xffff0000)))};
}
HWY_INLINE VF broadcast(const float* x) { return hn::Set(F32(), *x); }
HWY_INLINE VF broadcast(const std::uint16_t* x) { return hn::Set(F32(), bf16_to_float(*x)); }

HWY_INLINE float load_one(const float* p) { return *p; }
HWY_INLINE float load_one(const std::uint16_t* p) { return bf16_to_float(*p); }
HWY_INLINE void store_one(float v, float* p) { *p = v; }
HWY_INLINE void store_one(float v, std::uint16_t* p) { *p = float_to_bf16(v); }

/// sums[r][c] = sum_i x[r, i] group[i][c]
template <int kRows, class T>
HWY_INLINE void multiply_group(const T* x, const std::int8_t* group, std::int64_t in, float (*sums)[kChannels]) {
  VF acc[kRows * kVectors];
  for (VF& v : acc) v = hn::Zero(F32());
  std::int64_t i = 0;
  for (; i + 2 <= in; i += 2, group += 2 * kChannels) {
    Two factors[kRows];
    for (int r = 0; r < kRows; ++r) factors[r] = broadcast_two(x + r * in + i);
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) {
      const VF a = widened(group + v * kLanes), b = widened(group + kChannels + v * kLanes);
      for (int r = 0; r < kRows; ++r) {
        VF& sum = acc[r * kVectors + v];
        sum = hn::MulAdd(factors[r].b, b, hn::MulAdd(factors[r].a, a, sum));
      }
    }
  }
  if (i < in) {
    for (int r = 0; r < kRows; ++r) {
      const VF factor = broadcast(x + r * in + i);
      for (int v = 0; v < kVectors; ++v) {
        acc[r * kVectors + v] = hn::MulAdd(factor, widened(group + v * kLanes), acc[r * kVectors + v]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) hn::StoreU(acc[r * kVectors + v], F32(), sums[r] + v * kLanes);
  }
}

template <int kRows, class T, class Out>
HWY_INLINE void multiply_and_store(const kernels::MultiplyRows& p, const float* scales, std::int64_t row,
                                   std::int64_t column) {
  float sums[kRows][kChannels];
  multiply_group<kRows>(static_cast<const T*>(p.x) + row * p.in,
                        static_cast<const std::int8_t*>(p.weight) + column * p.in, p.in, sums);
  const std::int64_t count = std::min(kChannels, p.columns - column);
  for (int r = 0; r < kRows; ++r) {
    Out* out = static_cast<Out*>(p.out) + (row + r) * p.out_stride + column;
    for (std::int64_t c = 0; c < count; ++c) {
      const float sum = sums[r][c] * scales[column + c] + (p.bias == nullptr ? 0.0f : p.bias[column + c]);
      store_one(p.add ? load_one(out + c) + sum : sum, out + c);
    }
  }
}

template <class T, class Out>
void multiply_rows_of(const kernels::MultiplyRows& p, const float* scales) {
  for (std::int64_t column = 0; column < p.columns; column += kChannels) {
    std::int64_t row = 0;
    for (; row + kTileRows <= p.rows; row += kTileRows) multiply_and_store<kTileRows, T, Out>(p, scales, row, column);
    for (; row < p.rows; ++row) multiply_and_store<1, T, Out>(p, scales, row, column);
  }
}

template <class T>
void multiply_rows_to(const kernels::MultiplyRows& p, const float* scales) {
  p.out_dtype == DType::kF32 ? multiply_rows_of<T, float>(p, scales) : multiply_rows_of<T, std::uint16_t>(p, scales);
}

void MultiplyRowsTarget(const kernels::MultiplyRows& p, const float* scales) {
  p.dtype == DType::kF32 ? multiply_rows_to<float>(p, scales) : multiply_rows_to<std::uint16_t>(p, scales);
}

/// bf16 to the nearest even in the upper halves, anything in the lower ones; v is finite.
HWY_INLINE hn::Vec<U32> rounded_bits(VF v) {
  const U32 d;
  const auto bits = hn::BitCast(d, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
  return hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7fff)));
}
void WidenTarget(const std::int8_t* quantised, const float* scales, std::int64_t in, std::int64_t columns,
                 std::uint16_t* out) {
  for (std::int64_t i = 0; i < in; ++i, out += columns) {
    const auto at = [&](std::int64_t column) {
      const std::int64_t group = column / kChannels * kChannels;
      return quantised + group * in + i * kChannels + column - group;
    };
    std::int64_t column = 0;
    for (; column + kLanes <= columns; column += kLanes) {
      const auto bits = rounded_bits(hn::Mul(widened(at(column)), hn::LoadU(F32(), scales + column)));
      hn::StoreU(hn::TruncateTo(U16(), hn::ShiftRight<16>(bits)), U16(), out + column);
    }
    for (; column < columns; ++column) store_one(static_cast<float>(*at(column)) * scales[column], out + column);
  }
}

void WidenPackedTarget(const std::int8_t* group, const float* scales, std::int64_t in, std::int64_t columns,
                       std::uint16_t* packed) {
  static_assert(kChannels == kPackedColumns);
  const U32 d;
  for (std::int64_t first = 0; first < columns; first += kChannels, scales += kChannels) {
    for (std::int64_t i = 0; i < in; i += 2, group += 2 * kChannels) {
      for (std::int64_t c = 0; c < kChannels; c += kLanes) {
        const VF scale = hn::LoadU(F32(), scales + c);
        const auto even = rounded_bits(hn::Mul(widened(group + c), scale));
        const auto odd = i + 1 < in ? rounded_bits(hn::Mul(widened(group + kChannels + c), scale)) : hn::Zero(d);
        const auto pairs = hn::Or(hn::ShiftRight<16>(even), hn::And(odd, hn::Set(d, 0xffff0000)));
        hn::StoreU(pairs, d, reinterpret_cast<std::uint32_t*>(packed + i * kPackedColumns) + c);
      }
    }
    group -= in % 2 * kChannels;  // the pair that was half there
    const std::int64_t written = (in + 1) / 2 * 2 * kPackedColumns;
    std::fill_n(packed + written, packed_group_elements(in) - written, std::uint16_t{0});
    packed += packed_group_elements(in);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::runtime::int8
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tca::runtime::int8 {

HWY_EXPORT(MultiplyRowsTarget);
HWY_EXPORT(WidenTarget);
HWY_EXPORT(WidenPackedTarget);

void multiply_rows(const kernels::MultiplyRows& params, const float* scales) {
  HWY_DYNAMIC_DISPATCH(MultiplyRowsTarget)(params, scales);
}
void widen(const std::int8_t* quantised, const float* scales, std::int64_t in, std::int64_t columns,
           std::uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(WidenTarget)(quantised, scales, in, columns, out);
}

void widen_packed(const std::int8_t* quantised, const float* scales, std::int64_t in, std::int64_t columns,
                  std::uint16_t* packed) {
  HWY_DYNAMIC_DISPATCH(WidenPackedTarget)(quantised, scales, in, columns, packed);
}

namespace {

constexpr float kMost = 127;
// Elements of a row that are quantised at a time: 64 rows of so many int8 are 4 KiB, in the first cache level while
// they are turned into columns.
constexpr std::int64_t kBlock = 64;

/// max |w| of a row, infinite when one is not finite.
float largest(const std::byte* row, DType dtype, std::int64_t in) {
  std::array<float, kBlock> w;
  float most = 0;
  bool finite = true;
  for (std::int64_t i = 0; i < in; i += kBlock) {
    const std::int64_t n = std::min(kBlock, in - i);
    convert_row(row + i * static_cast<std::int64_t>(dtype_size(dtype)), dtype, w.data(), n);
    for (std::int64_t k = 0; k < n; ++k) {
      const float size = std::abs(w[static_cast<std::size_t>(k)]);
      finite &= std::isfinite(size);
      most = std::max(most, size);
    }
  }
  return finite ? most : INFINITY;
}

/// To the nearest integer for |v| < 2^22: the sum's ulp is 1. In [-127, 127] even where a subnormal scale is inexact.
std::int8_t to_int8(float v) {
  constexpr float kUlpOfOne = 0x1.8p23f;
  const float rounded = std::clamp(v, -kMost, kMost) + kUlpOfOne;
  return static_cast<std::int8_t>(std::bit_cast<std::uint32_t>(rounded));
}

}  // namespace

bool quantise_group(const void* rows, DType dtype, std::int64_t channels, std::int64_t in, std::int8_t* quantised,
                    float* scales) {
  const auto element = static_cast<std::int64_t>(dtype_size(dtype));
  const auto row = [&](std::int64_t c) { return static_cast<const std::byte*>(rows) + c * in * element; };
  std::fill_n(quantised, in * kChannels, std::int8_t{0});
  std::fill_n(scales, kChannels, 0.0f);
  for (std::int64_t c = 0; c < channels; ++c) {
    const float most = largest(row(c), dtype, in);
    if (std::isinf(most)) return false;
    scales[c] = most / kMost;
  }
  for (std::int64_t begin = 0; begin < in; begin += kBlock) {
    const std::int64_t n = std::min(kBlock, in - begin);
    for (std::int64_t c = 0; c < channels; ++c) {
      if (scales[c] == 0) continue;
      std::array<float, kBlock> w;
      convert_row(row(c) + begin * element, dtype, w.data(), n);
      for (std::int64_t i = 0; i < n; ++i) {
        quantised[(begin + i) * kChannels + c] = to_int8(w[static_cast<std::size_t>(i)] / scales[c]);
      }
    }
  }
  return true;
}

}  // namespace tca::runtime::int8
#endif
