// The kernels for few rows on every path, against loops in double.
#include <gtest/gtest.h>

#include <limits>

#include "cpu/naive.h"

namespace tca::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Pages of random keys and values with NaN in the slots beyond the last.
struct Pages {
  Pages(DType dtype, std::int32_t head_dim, std::int32_t num_keys)
      : k(num_keys, head_dim, dtype, 5, 0), v(num_keys, head_dim, dtype, 6, 0) {
    const std::size_t row_bytes = head_dim * dtype_size(dtype);
    for (std::int32_t first = 0; first < num_keys; first += kPageTokens) {
      const std::int32_t count = std::min(kPageTokens, num_keys - first);
      for (const Rows* rows : {&k, &v}) {
        memory.emplace_back(row_bytes * kPageTokens);
        std::memset(memory.back().data(), 0xff, row_bytes * kPageTokens);
        std::memcpy(memory.back().data(), rows->pointers()[first], row_bytes * static_cast<std::size_t>(count));
      }
      views.push_back({memory[memory.size() - 2].data(), memory.back().data(), nullptr, count});
    }
  }
  Rows k, v;
  std::vector<AlignedBuffer> memory;
  std::vector<KvPageView> views;
};

void check(const KernelSet& set, DType dtype, std::int32_t head_dim, std::int32_t rows) {
  const RowKernels& kernels = set.rows_for(dtype);
  constexpr std::int32_t kKeys = 64 + 64 + 21;
  const Pages pages(dtype, head_dim, kKeys);
  const Rows q(rows, head_dim, dtype, 7);
  const float scale = 0.4f;
  const AlignedBuffer queries(kernels.query_bytes(head_dim) * static_cast<std::size_t>(rows));
  const AlignedBuffer result(sizeof(float) * kMaxFewRows * kMaxHeadDim);
  std::vector<float> max(kMaxFewRows, -kInfinity), sum(kMaxFewRows, 0.0f);
  std::fill_n(result.as<float>(), rows * head_dim, 0.0f);
  for (std::int32_t r = 0; r < rows; ++r) {
    kernels.pack_query(q.pointers()[r], dtype, head_dim,
                       queries.data() + static_cast<std::size_t>(r) * kernels.query_bytes(head_dim));
  }
  // Row r sees the first kKeys - 11 r keys.
  for (std::size_t p = 0; p < pages.views.size(); ++p) {
    std::vector<std::int32_t> visible;
    for (std::int32_t r = 0; r < rows; ++r) {
      visible.push_back(std::clamp(kKeys - 11 * r - static_cast<std::int32_t>(p) * 64, 0, pages.views[p].count));
    }
    kernels.attend_page(queries.data(), rows, head_dim, pages.views[p],
                        pages.views[std::min(p + 1, pages.views.size() - 1)], dtype, visible.data(),
                        scale * 1.44269504f, max.data(), sum.data(), result.as<float>());
  }
  for (std::int32_t r = 0; r < rows; ++r) {
    double top = -kInfinity, total = 0;
    std::vector<double> weights, out(static_cast<std::size_t>(head_dim), 0.0);
    for (std::int32_t j = 0; j < kKeys - 11 * r; ++j) {
      weights.push_back(dot(q.row(r), pages.k.row(j)) * scale);
      top = std::max(top, weights.back());
    }
    for (double& weight : weights) total += weight = std::exp(weight - top);
    for (std::size_t j = 0; j < weights.size(); ++j) {
      const std::vector<double>& value = pages.v.row(static_cast<std::int32_t>(j));
      for (std::size_t c = 0; c < out.size(); ++c) out[c] += weights[j] / total * value[c];
    }
    const auto at = static_cast<std::size_t>(r);
    // Weights rounded to bf16 where the path does that, scores of up to 100 in fp32; values stay below 5.
    const double bound = 5 * (set.rows_bf16 == &kernels ? 0x1p-8 + 2e-4 : 2e-4);
    EXPECT_NEAR(max[at] * scale + std::log(sum[at]), top + std::log(total), 2e-4);
    for (std::int32_t c = 0; c < head_dim; ++c) {
      ASSERT_NEAR(result.as<float>()[r * head_dim + c] / sum[at], out[static_cast<std::size_t>(c)], bound);
    }
  }
}

TEST(RowKernels, PagesOfEveryShapeOnEveryPath) {
  for (const KernelSet& set : usable_targets()) {
    for (const DType dtype : kDTypes) {
      for (const std::int32_t head_dim : kHeadDims) {
        for (const std::int32_t rows : {1, 2, 3, 5, 7, 8}) {
          SCOPED_TRACE(std::string(set.name) + " " + std::string(dtype_name(dtype)) + " d" + std::to_string(head_dim) +
                       " rows " + std::to_string(rows));
          check(set, dtype, head_dim, rows);
        }
      }
    }
  }
}

TEST(RowKernels, ARowThatSeesNothingStaysEmpty) {
  for (const KernelSet& set : usable_targets()) {
    const RowKernels& kernels = set.rows_for(DType::kBF16);
    const Pages pages(DType::kBF16, 64, 10);
    const Rows q(1, 64, DType::kBF16, 8);
    const AlignedBuffer queries(kernels.query_bytes(64)), out(sizeof(float) * 64);
    std::fill_n(out.as<float>(), 64, 0.0f);
    kernels.pack_query(q.pointers()[0], DType::kBF16, 64, queries.data());
    float max = -kInfinity, sum = 0;
    const std::int32_t visible = 0;
    kernels.attend_page(queries.data(), 1, 64, pages.views[0], pages.views[0], DType::kBF16, &visible, 1.0f, &max, &sum,
                        out.as<float>());
    EXPECT_EQ(max, -kInfinity) << set.name;
    EXPECT_EQ(sum, 0.0f) << set.name;
    EXPECT_EQ(out.as<float>()[63], 0.0f) << set.name;
  }
}

TEST(RowKernels, SquaredNorms) {
  for (const KernelSet& set : usable_targets()) {
    for (const DType dtype : kDTypes) {
      const Rows x(1, 80, dtype, 11);
      const std::vector<double> row = x.row(0);
      EXPECT_NEAR(set.rows->squared_norm(x.pointers()[0], dtype, 80), dot(row, row), dot_bound(row, row)) << set.name;
    }
  }
}

}  // namespace
}  // namespace tca::cpu
