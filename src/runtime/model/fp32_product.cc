#include "runtime/model/fp32_product.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/half.h"
#include "runtime/model/int8.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/model/fp32_product.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tca::runtime::fp32 {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using kernels::MultiplyRows;
using F32 = hn::CappedTag<float, 16>;
using VF = hn::Vec<F32>;

constexpr std::int64_t kLanes = hn::MaxLanes(F32());
// A tile is two vectors of columns by so many rows that their sums fill the registers beside the two vectors of weights
// and one of x: 12 of 16, 24 of 32. Its loads, one of x for two multiply-adds and two of weights, stay below what a
// core loads meanwhile; its 12 or 24 sums above latency x throughput (4 x 2).
constexpr std::int64_t kPanel = 2 * kLanes;
#if HWY_ARCH_ARM_A64 || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
constexpr int kTileRows = 12;
#else
constexpr int kTileRows = 6;
#endif
static_assert(kBlockRows % kTileRows == 0 && int8::kChannels % kPanel == 0);
// Floats from one packed row of x to the next: a constant, so that the rows of a tile are displacements of one pointer;
// an odd number of cache lines, so that they spread over the sets of the caches, which rows of 2^n elements do not.
constexpr std::int64_t kRowStride = kSumElements + 16;

// ---- Packing ----

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
void pack_panel(const std::int8_t* weight, const float* scales, std::int64_t n, float* HWY_RESTRICT packed) {
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

// ---- Products ----

/// kRows rows of sums, of which `columns` columns count, are started, or added to.
template <int kRows>
void multiply_tile(const float* HWY_RESTRICT x, const float* HWY_RESTRICT weight, std::int64_t n, bool start,
                   float* HWY_RESTRICT sums, std::int64_t stride) {
  const F32 d;
  VF low[kRows], high[kRows];
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    low[r] = hn::Zero(d);
    high[r] = hn::Zero(d);
  }
  for (std::int64_t i = 0; i < n; ++i, ++x, weight += kPanel) {
    const VF w0 = hn::Load(d, weight), w1 = hn::Load(d, weight + kLanes);
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) {
      const VF factor = hn::Set(d, x[r * kRowStride]);
      low[r] = hn::MulAdd(factor, w0, low[r]);
      high[r] = hn::MulAdd(factor, w1, high[r]);
    }
  }
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r, sums += stride) {
    if (!start) {
      low[r] = hn::Add(low[r], hn::Load(d, sums));
      high[r] = hn::Add(high[r], hn::Load(d, sums + kLanes));
    }
    hn::Store(low[r], d, sums);
    hn::Store(high[r], d, sums + kLanes);
  }
}

using TileFunction = void (*)(const float*, const float*, std::int64_t, bool, float*, std::int64_t);
template <int... kRows>
constexpr std::array<TileFunction, kTileRows + 1> tile_functions(std::integer_sequence<int, kRows...>) {
  return {nullptr, multiply_tile<kRows + 1>...};
}
constexpr auto kTiles = tile_functions(std::make_integer_sequence<int, kTileRows>());

/// Rows of memory that will be wanted. They lie far from each other, where hardware foresees nothing.
struct Ahead {
  const void* from = nullptr;
  std::int64_t stride = 0, bytes = 0, rows = 0;

  /// The share of `step` among `steps`, into the second cache level.
  void fetch(std::int64_t step, std::int64_t steps) const {
    const auto* row = static_cast<const std::byte*>(from) + rows * step / steps * stride;
    for (std::int64_t left = rows * (step + 1) / steps - rows * step / steps; left > 0; --left, row += stride) {
      for (std::int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at, 0, 2);
    }
  }
};

class Block {
 public:
  /// transposed: the stride of a weight that lies the other way, else 0.
  Block(const MultiplyRows& params, const float* scales, std::int64_t transposed, Scratch& scratch)
      : p_(params), scales_(scales), transposed_(transposed) {
    const auto floats = [](Buffer& buffer, std::int64_t n) {
      buffer.reserve(static_cast<std::size_t>(n) * sizeof(float));
      return buffer.as<float>();
    };
    panels_ = (p_.columns + kPanel - 1) / kPanel;
    keep_ = p_.rows > kBlockRows;
    stride_ = panels_ * kPanel + 16;
    x_ = floats(scratch.x, kBlockRows * kRowStride);
    weight_ =
        floats(scratch.weight, keep_ ? panels_ * kPanel * std::min(p_.in, kWriteElements) : kPanel * kSumElements);
    sums_ = floats(scratch.sums, std::min(p_.rows, kBlockRows) * stride_);
    total_ = p_.out_dtype == DType::kF32 ? nullptr : floats(scratch.total, p_.rows * p_.columns);
  }

  void run() {
    for (begin_ = 0; begin_ < p_.in; begin_ += kWriteElements) {
      end_ = std::min(p_.in, begin_ + kWriteElements);
      for (row_ = 0; row_ < p_.rows; row_ += kBlockRows) {
        rows_ = std::min(kBlockRows, p_.rows - row_);
        for (first_ = begin_; first_ < end_; first_ += kSumElements) add_slice();
        deliver();
      }
    }
  }

 private:
  std::int64_t slice(std::int64_t first) const { return std::min(kSumElements, end_ - first); }
  std::int64_t panel_columns(std::int64_t panel) const { return std::min(kPanel, p_.columns - panel * kPanel); }
  const std::byte* x_at(std::int64_t row, std::int64_t i) const {
    return static_cast<const std::byte*>(p_.x) + (row * p_.in + i) * static_cast<std::int64_t>(dtype_size(p_.dtype));
  }
  const std::byte* weight_at(std::int64_t panel, std::int64_t i) const {
    const auto* const weight = static_cast<const std::byte*>(p_.weight);
    const std::int64_t column = panel * kPanel, in_group = column % int8::kChannels;
    if (scales_ != nullptr) return weight + (column - in_group) * p_.in + i * int8::kChannels + in_group;
    const std::int64_t element = transposed_ > 0 ? i * transposed_ + column : column * p_.in + i;
    return weight + element * static_cast<std::int64_t>(dtype_size(p_.weight_dtype));
  }
  float* packed(std::int64_t first, std::int64_t panel) const {
    return keep_ ? weight_ + ((first - begin_) * panels_ + panel * slice(first)) * kPanel : weight_;
  }

  /// A panel of weights, 16 KiB with vectors of 256 bits, stays in the first cache level while the rows go by. The
  /// first rows of all pack it; when there are no others, always in the same place.
  void add_slice() {
    const std::int64_t n = slice(first_), tiles = (rows_ + kTileRows - 1) / kTileRows;
    pack_x(n);
    const Ahead next_x = x_ahead();
    for (std::int64_t panel = 0; panel < panels_; ++panel) {
      float* const weight = packed(first_, panel);
      if (row_ == 0) pack_weight(panel, n, weight);
      next_x.fetch(panel, panels_);
      const Ahead next_weight = weight_ahead(panel);
      for (std::int64_t tile = 0, r = 0; tile < tiles; ++tile) {
        next_weight.fetch(tile, tiles);
        // About equal heights: one row alone would wait for its sums.
        const std::int64_t count = (rows_ - r + tiles - tile - 1) / (tiles - tile);
        kTiles[static_cast<std::size_t>(count)](x_ + r * kRowStride, weight, n, first_ == begin_,
                                                sums_ + r * stride_ + panel * kPanel, stride_);
        r += count;
      }
    }
  }

  void pack_x(std::int64_t n) {
    if (p_.dtype == DType::kBF16) {
      pack_rows(reinterpret_cast<const std::uint16_t*>(x_at(row_, first_)), p_.in, n, rows_, x_);
    } else {
      pack_rows(reinterpret_cast<const float*>(x_at(row_, first_)), p_.in, n, rows_, x_);
    }
  }

  void pack_weight(std::int64_t panel, std::int64_t n, float* to) {
    const std::int64_t columns = panel_columns(panel);
    if (scales_ != nullptr) {
      pack_panel(reinterpret_cast<const std::int8_t*>(weight_at(panel, first_)), scales_ + panel * kPanel, n, to);
    } else if (p_.weight_dtype == DType::kBF16) {
      pack_stored(reinterpret_cast<const std::uint16_t*>(weight_at(panel, first_)), n, columns, to);
    } else {
      pack_stored(reinterpret_cast<const float*>(weight_at(panel, first_)), n, columns, to);
    }
  }
  template <class T>
  void pack_stored(const T* weight, std::int64_t n, std::int64_t columns, float* to) {
    if (transposed_ > 0) return pack_transposed_panel(weight, transposed_, n, columns, to);
    pack_panel(weight, p_.in, n, columns, to);
  }

  Ahead x_ahead() const {
    std::int64_t row = row_, first = first_ + kSumElements;
    if (first >= end_) {
      row += kBlockRows;
      first = begin_;
    }
    if (row >= p_.rows) {
      row = 0;
      first = end_;
    }
    if (first >= p_.in) return {};
    const auto element = static_cast<std::int64_t>(dtype_size(p_.dtype));
    return {.from = x_at(row, first),
            .stride = p_.in * element,
            .bytes = std::min(kSumElements, p_.in - first) * element,
            .rows = std::min(kBlockRows, p_.rows - row)};
  }

  Ahead weight_ahead(std::int64_t panel) const {
    std::int64_t first = first_;
    if (++panel == panels_) {
      panel = 0;
      first += kSumElements;
      if (first >= end_) return {};
    }
    const std::int64_t n = slice(first);
    if (row_ > 0) {
      const std::int64_t bytes = n * static_cast<std::int64_t>(sizeof(float));
      return {.from = packed(first, panel), .stride = bytes, .bytes = bytes, .rows = kPanel};
    }
    if (scales_ != nullptr) return {};  // one stream
    const auto element = static_cast<std::int64_t>(dtype_size(p_.weight_dtype));
    const std::int64_t columns = panel_columns(panel);
    const std::byte* const from = weight_at(panel, first);
    if (transposed_ > 0) {
      return {.from = from, .stride = transposed_ * element, .bytes = columns * element, .rows = n};
    }
    return {.from = from, .stride = p_.in * element, .bytes = n * element, .rows = columns};
  }

  /// The block's sums, to where they are wanted.
  void deliver() {
    const bool start = begin_ == 0, add = !start || p_.add;
    for (std::int64_t r = 0; r < rows_; ++r) {
      float* const sums = sums_ + r * stride_;
      float* const to = total_ == nullptr ? static_cast<float*>(p_.out) + (row_ + r) * p_.out_stride
                                          : total_ + (row_ + r) * p_.columns;
      for (std::int64_t c = 0; start && p_.bias != nullptr && c < p_.columns; ++c) sums[c] += p_.bias[c];
      for (std::int64_t c = 0; add && c < p_.columns; ++c) sums[c] += to[c];
      if (total_ == nullptr || end_ < p_.in) {
        std::memcpy(to, sums, static_cast<std::size_t>(p_.columns) * sizeof(float));
      } else {
        convert_row(sums, static_cast<std::uint16_t*>(p_.out) + (row_ + r) * p_.out_stride, p_.out_dtype, p_.columns);
      }
    }
  }

  const MultiplyRows& p_;
  const float* scales_;
  std::int64_t transposed_;
  std::int64_t panels_;
  bool keep_;            // packed panels, because there are rows after the first block
  std::int64_t stride_;  // of sums_
  float *x_, *weight_, *sums_;
  float* total_;  // [rows, columns] where sums of several deliveries are not fp32; else null
  // In work: elements [begin, end) between deliveries, and of these the slice from `first` on; rows of the block.
  std::int64_t begin_ = 0, end_ = 0, first_ = 0, row_ = 0, rows_ = 0;
};

void MultiplyBlockTarget(const MultiplyRows& p, const float* scales, std::int64_t transposed, Scratch& scratch) {
  Block(p, scales, transposed, scratch).run();
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::runtime::fp32
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tca::runtime::fp32 {

HWY_EXPORT(MultiplyBlockTarget);

void multiply_block(const kernels::MultiplyRows& params, const float* scales, Scratch& scratch) {
  HWY_DYNAMIC_DISPATCH(MultiplyBlockTarget)(params, scales, 0, scratch);
}
void multiply_transposed_block(const kernels::MultiplyRows& params, std::int64_t stride, Scratch& scratch) {
  HWY_DYNAMIC_DISPATCH(MultiplyBlockTarget)(params, nullptr, stride, scratch);
}

}  // namespace tca::runtime::fp32
#endif
