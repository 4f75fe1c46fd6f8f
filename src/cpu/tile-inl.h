// What the tile kernels of all paths share: blocks of query rows, loads of any dtype, transposition, masks, softmax.
// Included once per Highway target; see kernels.h for the layout.
#if defined(TCA_CPU_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TCA_CPU_TILE_INL_H_
#undef TCA_CPU_TILE_INL_H_
#else
#define TCA_CPU_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/half.h"
#include "cpu/exp-inl.h"
#include "cpu/kernels.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using IntTag = hn::ScalableTag<std::int32_t>;
using FloatVec = hn::Vec<FloatTag>;

constexpr std::int32_t kLanes = hn::MaxLanes(FloatTag());
// A block is three vectors of rows. With 32 registers 8 x 3 accumulators, 3 row vectors and a broadcast fit: 24
// multiply-adds per 11 loads, and more in flight than latency x throughput (4 x 2) asks for. With 16 registers 4 x 3.
constexpr std::int32_t kBlockVectors = 3;
constexpr std::int32_t kBlockRows = kBlockVectors * kLanes;
#if HWY_ARCH_ARM_A64 || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
constexpr std::int32_t kGroup = 8;  // keys (score) or value columns (accumulate) in registers at once
#else
constexpr std::int32_t kGroup = 4;
#endif
static_assert(kKeyStep % kGroup == 0 && kHeadDimStep % kGroup == 0 && kHeadDimStep % kLanes == 0);

/// Packed key tiles are zero from their last key to the end of its group.
HWY_INLINE std::int32_t padded_keys(std::int32_t keys) { return (keys + kKeyStep - 1) / kKeyStep * kKeyStep; }

/// Calls kernel with the number of row vectors of a block in use as a constant.
template <class Kernel>
HWY_INLINE void with_row_vectors(std::int32_t rows, const Kernel& kernel) {
  if (rows > 2 * kLanes) {
    kernel(std::integral_constant<int, 3>());
  } else if (rows > kLanes) {
    kernel(std::integral_constant<int, 2>());
  } else {
    kernel(std::integral_constant<int, 1>());
  }
}

/// kLanes elements of a row, widened.
template <DType kType>
HWY_INLINE FloatVec load_floats(const void* row, std::int32_t i) {
  const FloatTag df;
  if constexpr (kType == DType::kF32) {
    return hn::LoadU(df, static_cast<const float*>(row) + i);
  } else {
    const hn::Rebind<std::uint16_t, FloatTag> du16;
    const auto bits = hn::LoadU(du16, static_cast<const std::uint16_t*>(row) + i);
    if constexpr (kType == DType::kBF16) {
      return hn::BitCast(df, hn::ShiftLeft<16>(hn::PromoteTo(hn::RebindToUnsigned<FloatTag>(), bits)));
    } else {
      const FloatVec value = hn::PromoteTo(df, hn::BitCast(hn::Rebind<hwy::float16_t, FloatTag>(), bits));
#if HWY_TARGET == HWY_SCALAR || (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX2)
      // Without F16C, Highway takes infinities and NaNs for numbers from 65536 on.
      const hn::RebindToUnsigned<FloatTag> du32;
      const auto wide = hn::PromoteTo(du32, bits);
      const auto exponent = hn::Set(du32, 0x7c00);
      const auto is_special = hn::Eq(hn::And(wide, exponent), exponent);
      const auto special = hn::Or(hn::BitCast(du32, value), hn::Set(du32, 0x7f800000));
      return hn::IfThenElse(hn::RebindMask(df, is_special), hn::BitCast(df, special), value);
#else
      return value;
#endif
    }
  }
}

template <DType kType>
HWY_INLINE void widen_row(const void* row, std::int32_t head_dim, float* HWY_RESTRICT out) {
  for (std::int32_t c = 0; c < head_dim; c += kLanes) hn::Store(load_floats<kType>(row, c), FloatTag(), out + c);
}

/// Calls kernel with the dtype as a constant.
template <class Kernel>
HWY_INLINE void with_dtype(DType dtype, const Kernel& kernel) {
  switch (dtype) {
    case DType::kF32:
      return kernel(std::integral_constant<DType, DType::kF32>());
    case DType::kBF16:
      return kernel(std::integral_constant<DType, DType::kBF16>());
    case DType::kF16:
      return kernel(std::integral_constant<DType, DType::kF16>());
  }
}

// Rows turned around at once: squares of 128 bits, on every target that has vectors.
#if HWY_TARGET == HWY_SCALAR
constexpr std::int32_t kTurn = 1;
#else
constexpr std::int32_t kTurn = 4;

using Quad = hn::FixedTag<float, 4>;
using QuadVec = hn::Vec<Quad>;

HWY_INLINE void transpose(QuadVec (&rows)[4]) {
  const Quad dq;
  const QuadVec low01 = hn::InterleaveLower(dq, rows[0], rows[1]), high01 = hn::InterleaveUpper(dq, rows[0], rows[1]);
  const QuadVec low23 = hn::InterleaveLower(dq, rows[2], rows[3]), high23 = hn::InterleaveUpper(dq, rows[2], rows[3]);
  rows[0] = hn::ConcatLowerLower(dq, low23, low01);
  rows[1] = hn::ConcatUpperUpper(dq, low23, low01);
  rows[2] = hn::ConcatLowerLower(dq, high23, high01);
  rows[3] = hn::ConcatUpperUpper(dq, high23, high01);
}
#endif

/// packed[c][r] = rows[r][c] for kTurn rows of n 32-bit elements; packed has kRows columns.
template <std::int32_t kRows = kBlockRows>
HWY_INLINE void turn_rows_in(const float* const* rows, std::int32_t n, float* HWY_RESTRICT packed) {
#if HWY_TARGET == HWY_SCALAR
  for (std::int32_t c = 0; c < n; ++c) packed[c * kRows] = rows[0][c];
#else
  const Quad dq;
  for (std::int32_t c = 0; c < n; c += 4) {
    QuadVec square[4];
    for (int i = 0; i < 4; ++i) square[i] = hn::LoadU(dq, rows[i] + c);
    transpose(square);
    for (int i = 0; i < 4; ++i) hn::Store(square[i], dq, packed + (c + i) * kRows);
  }
#endif
}

/// turned[r][c] = out[c][r] * factors[r] for kTurn rows.
template <std::int32_t kRows>
HWY_INLINE void turn_rows_out(const float* HWY_RESTRICT out, const float* HWY_RESTRICT factors, std::int32_t n,
                              float (*HWY_RESTRICT turned)[kMaxHeadDim]) {
#if HWY_TARGET == HWY_SCALAR
  for (std::int32_t c = 0; c < n; ++c) turned[0][c] = out[c * kRows] * factors[0];
#else
  const Quad dq;
  const QuadVec factor = hn::Load(dq, factors);
  for (std::int32_t c = 0; c < n; c += 4) {
    QuadVec square[4];
    for (int i = 0; i < 4; ++i) square[i] = hn::Mul(hn::Load(dq, out + (c + i) * kRows), factor);
    transpose(square);
    for (int i = 0; i < 4; ++i) hn::Store(square[i], dq, turned[i] + c);
  }
#endif
}

template <std::int32_t kRows = kBlockRows>
void mask_tile(const std::int32_t* HWY_RESTRICT row_positions, const std::int32_t* HWY_RESTRICT key_positions,
               const Visibility& visibility, const TileShape& shape, float* HWY_RESTRICT scores,
               float* HWY_RESTRICT span_max) {
  const FloatTag df;
  const IntTag di;
  const FloatVec hidden = hn::Set(df, -std::numeric_limits<float>::infinity());
  for (std::int32_t r = 0; r < shape.rows; r += kLanes) {
    const auto row = hn::LoadU(di, row_positions + r);
    const auto after = hn::Sub(row, hn::Set(di, visibility.reach));
    const auto last = hn::Sub(row, hn::Set(di, visibility.lag));
    FloatVec top = hidden;
    for (std::int32_t j = shape.first_key; j < shape.end_key; ++j) {
      const auto key = hn::Set(di, key_positions[j]);
      const auto seen = hn::AndNot(hn::Gt(key, last), hn::Gt(key, after));
      float* score = scores + j * kRows + r;
      const FloatVec masked = hn::IfThenElse(hn::RebindMask(df, seen), hn::Load(df, score), hidden);
      top = hn::Max(top, masked);
      hn::Store(masked, df, score);
    }
    hn::Store(top, df, span_max + r);
  }
}

/// The new maximum of a block's rows, and what it does to what was summed so far.
template <int kVectors>
struct RowMaximum {
  FloatVec max[kVectors];      // finite also for rows that saw nothing: their scores are -infinity and weigh 0
  FloatVec factors[kVectors];  // exp of the rise, 0 for rows that saw nothing before
  bool changed = false;
};

template <int kVectors>
HWY_INLINE void raise_maximum(float log2_scale, const float* HWY_RESTRICT span_max, float* HWY_RESTRICT max,
                              float* HWY_RESTRICT factors, RowMaximum<kVectors>& result) {
  const FloatTag df;
  const FloatVec scale = hn::Set(df, log2_scale);
  // Weights up to 2^8 cost no precision, and fp32 sums hold them with ease.
  const FloatVec slack = hn::Set(df, 8.0f);
  const FloatVec nothing = hn::Set(df, -std::numeric_limits<float>::infinity());
  const auto rises = [&](int v) HWY_ATTR {  // false for -infinity against itself
    const FloatVec before = hn::Load(df, max + v * kLanes), top = hn::Load(df, span_max + v * kLanes);
    return hn::Gt(hn::Mul(hn::Sub(top, before), scale), slack);
  };
  for (int v = 0; v < kVectors; ++v) {
    result.max[v] = hn::Load(df, max + v * kLanes);
    result.factors[v] = hn::Set(df, 1.0f);
    result.changed = result.changed || !hn::AllFalse(df, rises(v));
  }
  for (int v = 0; result.changed && v < kVectors; ++v) {
    const FloatVec before = result.max[v];
    const FloatVec after = hn::IfThenElse(rises(v), hn::Load(df, span_max + v * kLanes), before);
    const FloatVec decay = exp2(df, hn::Mul(hn::Sub(before, after), scale));
    result.factors[v] = hn::IfThenElse(rises(v), decay, hn::Set(df, 1.0f));
    result.max[v] = after;
    hn::Store(after, df, max + v * kLanes);
  }
  for (int v = 0; v < kVectors; ++v) {
    hn::Store(result.factors[v], df, factors + v * kLanes);
    result.max[v] = hn::IfThenElse(hn::Eq(result.max[v], nothing), hn::Zero(df), result.max[v]);
  }
}

template <int kVectors>
HWY_INLINE void update_sums(const RowMaximum<kVectors>& maximum, const FloatVec* tile_sums, float* HWY_RESTRICT sum) {
  const FloatTag df;
  for (int v = 0; v < kVectors; ++v) {
    const FloatVec before = hn::Load(df, sum + v * kLanes);
    hn::Store(hn::MulAdd(before, maximum.factors[v], tile_sums[v]), df, sum + v * kLanes);
  }
}

template <ColumnReduce kReduce, std::int32_t kRows>
void reduce_columns(const float* HWY_RESTRICT scores, const TileShape& shape, float scale,
                    const float* HWY_RESTRICT lse, float* HWY_RESTRICT out) {
  const FloatTag df;
  const FloatVec factor = hn::Set(df, scale), log2_e = hn::Set(df, 1.44269504f);
  for (std::int32_t j = shape.first_key; j < shape.end_key; ++j) {
    FloatVec total = hn::Zero(df);
    for (std::int32_t r = 0; r < shape.rows; r += kLanes) {
      const FloatVec log_weight = hn::MulSub(hn::Load(df, scores + j * kRows + r), factor, hn::Load(df, lse + r));
      const FloatVec weight = exp2(df, hn::Mul(log_weight, log2_e));
      total = kReduce == ColumnReduce::kSum ? hn::Add(total, weight) : hn::Max(total, weight);
    }
    out[j] = hn::GetLane(kReduce == ColumnReduce::kSum ? hn::SumOfLanes(df, total) : hn::MaxOfLanes(df, total));
  }
}

template <std::int32_t kRows = kBlockRows>
void reduce_tile(const float* scores, const TileShape& shape, float scale, const float* lse, ColumnReduce reduce,
                 float* out) {
  if (reduce == ColumnReduce::kSum) return reduce_columns<ColumnReduce::kSum, kRows>(scores, shape, scale, lse, out);
  reduce_columns<ColumnReduce::kMax, kRows>(scores, shape, scale, lse, out);
}

template <std::int32_t kRows = kBlockRows>
void store_block(const float* HWY_RESTRICT out, const float* HWY_RESTRICT factors, const TileShape& shape, DType dtype,
                 void* const* rows) {
  HWY_ALIGN float turned[kTurn][kMaxHeadDim];
  for (std::int32_t r = 0; r < shape.rows; r += kTurn) {
    turn_rows_out<kRows>(out + r, factors + r, shape.head_dim, turned);
    for (std::int32_t i = 0; i < std::min(kTurn, shape.rows - r); ++i) {
      convert_row(turned[i], rows[r + i], dtype, shape.head_dim);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_AFTER_NAMESPACE();

#endif
