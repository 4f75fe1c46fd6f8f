// Kernels for few query rows on cache pages, for every Highway target: head dimension along the lanes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/row_kernels.cc"
#include "hwy/foreach_target.h"
//
#include "cpu/target_tables.h"
#include "cpu/targets.h"
#include "cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace {

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

/// scores[r][j] = q_r . k_j for kRows rows and the page's filled slots.
template <DType kType, int kRows>
void score_page(const float* HWY_RESTRICT q, std::int32_t head_dim, const void* keys, std::int32_t count,
                float (*HWY_RESTRICT scores)[kTileKeys]) {
  const FloatTag df;
  HWY_ALIGN float partial[kRows][kLanes * kLanes];
  for (std::int32_t first = 0; first < count; first += kLanes) {
    for (std::int32_t j = 0; j < kLanes; ++j) {
      FloatVec sum[kRows];
      HWY_UNROLL(4)
      for (int r = 0; r < kRows; ++r) sum[r] = hn::Zero(df);
      if (first + j < count) {
        for (std::int32_t c = 0; c < head_dim; c += kLanes) {
          const FloatVec k = load_floats<kType>(keys, (first + j) * head_dim + c);
          HWY_UNROLL(4)
          for (int r = 0; r < kRows; ++r) sum[r] = hn::MulAdd(k, hn::Load(df, q + r * head_dim + c), sum[r]);
        }
      }
      HWY_UNROLL(4)
      for (int r = 0; r < kRows; ++r) hn::Store(sum[r], df, partial[r] + j * kLanes);
    }
    for (int r = 0; r < kRows; ++r) hn::Store(sum_each(partial[r]), df, scores[r] + first);
  }
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
    const FloatVec weight = exp2<5>(df, hn::Mul(hn::Sub(hn::Load(df, scores + j), reference), scale));
    total = hn::Add(total, weight);
    hn::Store(weight, df, scores + j);
  }
  const float decay = hn::GetLane(exp2<5>(df, hn::Set(df, (before - max) * log2_scale)));
  sum = sum * decay + hn::GetLane(hn::SumOfLanes(df, total));
  return decay;
}

/// out[r][c..] = out[r][c..] * decay[r] + sum over j of weights[r][j] * v_j[c..], for kRows rows and kVectors vectors.
template <DType kType, int kRows, int kVectors>
HWY_INLINE void accumulate_columns(const float (*HWY_RESTRICT weights)[kTileKeys], std::int32_t head_dim,
                                   const void* values, std::int32_t count, const float* HWY_RESTRICT decay,
                                   float* HWY_RESTRICT out) {
  const FloatTag df;
  FloatVec sum[kRows][kVectors];
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = hn::Mul(hn::Load(df, out + r * head_dim + v * kLanes), hn::Set(df, decay[r]));
    }
  }
  for (std::int32_t j = 0; j < count; ++j) {
    FloatVec value[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) value[v] = load_floats<kType>(values, j * head_dim + v * kLanes);
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) {
      const FloatVec weight = hn::Set(df, weights[r][j]);
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(weight, value[v], sum[r][v]);
    }
  }
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) hn::Store(sum[r][v], df, out + r * head_dim + v * kLanes);
  }
}

template <DType kType, int kRows>
void attend_page_rows(const float* q, std::int32_t head_dim, const KvPageView& page, const std::int32_t* visible,
                      float log2_scale, float* max, float* sum, float* out) {
  HWY_ALIGN float weights[kRows][kTileKeys];
  float decay[kRows];
  score_page<kType, kRows>(q, head_dim, page.k, page.count, weights);
  std::int32_t count = 0;
  for (int r = 0; r < kRows; ++r) {
    decay[r] = weigh_row(weights[r], visible[r], log2_scale, max[r], sum[r]);
    count = std::max(count, visible[r]);
  }
  const auto* const values = static_cast<const std::byte*>(page.v);
  std::int32_t c = 0;
  for (; c + 4 * kLanes <= head_dim; c += 4 * kLanes) {
    accumulate_columns<kType, kRows, 4>(weights, head_dim, values + c * dtype_size(kType), count, decay, out + c);
  }
  for (; c < head_dim; c += kLanes) {
    accumulate_columns<kType, kRows, 1>(weights, head_dim, values + c * dtype_size(kType), count, decay, out + c);
  }
}

void attend_page(const float* q, std::int32_t rows, std::int32_t head_dim, const KvPageView& page, DType dtype,
                 const std::int32_t* visible, float log2_scale, float* max, float* sum, float* out) {
  with_dtype(dtype, [&](auto type) HWY_ATTR {
    for (std::int32_t r = 0; r < rows;) {
      const auto attend = [&](auto count) HWY_ATTR {
        attend_page_rows<type.value, count.value>(q + r * head_dim, head_dim, page, visible + r, log2_scale, max + r,
                                                  sum + r, out + r * head_dim);
        r += count.value;
      };
      if (rows - r >= kRowsAtOnce) {
        attend(std::integral_constant<int, kRowsAtOnce>());
      } else if (rows - r >= 2) {
        attend(std::integral_constant<int, 2>());
      } else {
        attend(std::integral_constant<int, 1>());
      }
    }
  });
}

float squared_norm(const void* row, DType dtype, std::int32_t head_dim) {
  const FloatTag df;
  FloatVec sum = hn::Zero(df);
  with_dtype(dtype, [&](auto type) HWY_ATTR {
    for (std::int32_t c = 0; c < head_dim; c += kLanes) {
      const FloatVec x = load_floats<type.value>(row, c);
      sum = hn::MulAdd(x, x, sum);
    }
  });
  return hn::GetLane(hn::SumOfLanes(df, sum));
}

}  // namespace

constexpr RowKernels kRowKernels = {.attend_page = attend_page, .squared_norm = squared_norm};

}  // namespace HWY_NAMESPACE

namespace {
template <>
struct TargetTable<RowKernels, HWY_TARGET> {
  static constexpr const RowKernels* value = &HWY_NAMESPACE::kRowKernels;
};
}  // namespace
}  // namespace tca::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tca::cpu {

const RowKernels* row_kernels(std::int64_t target) { return find_target_table<RowKernels>(target); }

}  // namespace tca::cpu
#endif
