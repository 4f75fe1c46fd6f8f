// Kernels for few query rows on cache pages, for every Highway target: head dimension along the lanes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/row_kernels.cc"
#include "hwy/foreach_target.h"
//
#include "cpu/row-inl.h"
#include "cpu/target_tables.h"
#include "cpu/targets.h"

HWY_BEFORE_NAMESPACE();
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace {

/// scores[r][j] = q_r . k_j for kRows rows and the page's filled slots.
template <DType kType, int kRows>
void score_page(const float* HWY_RESTRICT q, std::int32_t head_dim, const KvPageView& page, const void* next,
                float (*HWY_RESTRICT scores)[kTileKeys]) {
  const std::size_t row_bytes = head_dim * dtype_size(kType);
  const FloatTag df;
  HWY_ALIGN float partial[kRows][kLanes * kLanes];
  for (std::int32_t first = 0; first < page.count; first += kLanes) {
    for (std::int32_t j = 0; j < kLanes; ++j) {
      FloatVec sum[kRows];
      HWY_UNROLL(4)
      for (int r = 0; r < kRows; ++r) sum[r] = hn::Zero(df);
      if (first + j < page.count) {
        prefetch(next, (first + j) * row_bytes, row_bytes);
        for (std::int32_t c = 0; c < head_dim; c += kLanes) {
          const FloatVec k = load_floats<kType>(page.k, (first + j) * head_dim + c);
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

/// out[r][c..] = out[r][c..] * decay[r] + sum over j of weights[r][j] * v_j[c..], for kRows rows and kVectors vectors.
template <DType kType, int kRows, int kVectors>
HWY_INLINE void accumulate_columns(const float (*HWY_RESTRICT weights)[kTileKeys], std::int32_t head_dim,
                                   const void* values, const void* next, std::int32_t count,
                                   const float* HWY_RESTRICT decay, float* HWY_RESTRICT out) {
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
    prefetch(next, j * head_dim * dtype_size(kType), kVectors * kLanes * dtype_size(kType));
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
void attend_page_rows(const float* q, std::int32_t head_dim, const KvPageView& page, const KvPageView& next,
                      const std::int32_t* visible, float log2_scale, float* max, float* sum, float* out) {
  HWY_ALIGN float weights[kRows][kTileKeys];
  float decay[kRows];
  score_page<kType, kRows>(q, head_dim, page, next.k, weights);
  std::int32_t count = 0;
  for (int r = 0; r < kRows; ++r) {
    decay[r] = weigh_row(weights[r], visible[r], log2_scale, max[r], sum[r]);
    count = std::max(count, visible[r]);
  }
  const auto column = [&](const void* values, std::int32_t c) {
    return static_cast<const std::byte*>(values) + c * dtype_size(kType);
  };
  std::int32_t c = 0;
  for (; c + 4 * kLanes <= head_dim; c += 4 * kLanes) {
    accumulate_columns<kType, kRows, 4>(weights, head_dim, column(page.v, c), column(next.v, c), count, decay, out + c);
  }
  for (; c < head_dim; c += kLanes) {
    accumulate_columns<kType, kRows, 1>(weights, head_dim, column(page.v, c), column(next.v, c), count, decay, out + c);
  }
}

std::size_t query_bytes(std::int32_t head_dim) { return sizeof(float) * head_dim; }

void pack_query(const void* row, DType dtype, std::int32_t head_dim, void* packed) {
  with_dtype(dtype, [&](auto type) HWY_ATTR { widen_row<type.value>(row, head_dim, static_cast<float*>(packed)); });
}

void attend_page(const void* queries, std::int32_t rows, std::int32_t head_dim, const KvPageView& page,
                 const KvPageView& next, DType dtype, const std::int32_t* visible, float log2_scale, float* max,
                 float* sum, float* out) {
  const auto* const q = static_cast<const float*>(queries);
  with_dtype(dtype, [&](auto type) HWY_ATTR {
    for_row_groups(rows, [&](std::int32_t r, auto count) HWY_ATTR {
      attend_page_rows<type.value, count.value>(q + r * head_dim, head_dim, page, next, visible + r, log2_scale,
                                                max + r, sum + r, out + r * head_dim);
    });
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

constexpr RowKernels kRowKernels = {
    .query_bytes = query_bytes, .pack_query = pack_query, .attend_page = attend_page, .squared_norm = squared_norm};

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
