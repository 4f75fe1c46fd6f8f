// Row kernels against plain loops in double, on every vector target this CPU can run. Tolerances are error bounds of
// fp32 sums, u = 2^-24 per operation, plus one rounding to the stored type.
#include "runtime/model/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "model/highway_targets.h"
#include "model/test_data.h"

namespace tca::runtime::kernels {
namespace {

using test::Elements;
using test::kFloatRoundoff;
using test::random_floats;
using test::roundoff;

class KernelsTest : public test::OnEveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, KernelsTest, test::every_target(), test::target_name);

/// x in the order in which multiply_rows() reads it.
Elements in_read_order(const Elements& x, DType weight_dtype, std::int64_t rows, std::int64_t in) {
  if (reads_as_it_is(x.dtype, weight_dtype)) return x;
  Elements ready(std::vector<float>(static_cast<std::size_t>(rows * in)), DType::kF32);
  read_order(x.data(), x.dtype, weight_dtype, rows, in, static_cast<float*>(ready.data()));
  return ready;
}

void check_multiply(DType dtype, DType weight_dtype, DType out_dtype, std::int64_t rows, std::int64_t in,
                    std::int64_t columns, bool add, bool with_bias) {
  SCOPED_TRACE(testing::Message() << dtype_name(dtype) << " by " << dtype_name(weight_dtype) << " to "
                                  << dtype_name(out_dtype) << " [" << rows << ", " << in << "] x " << columns << " add "
                                  << add << " bias " << with_bias);
  const Elements x(random_floats(rows * in, 1), dtype), weight(random_floats(columns * in, 2), weight_dtype);
  const Elements ready = in_read_order(x, weight_dtype, rows, in);
  const std::vector<float> bias = random_floats(columns, 3);
  const std::int64_t stride = columns + 3;
  Elements out(random_floats(rows * stride, 4), out_dtype);
  const Elements before = out;
  multiply_rows({.x = ready.data(),
                 .weight = weight.data(),
                 .bias = with_bias ? bias.data() : nullptr,
                 .out = out.data(),
                 .rows = rows,
                 .in = in,
                 .columns = columns,
                 .out_stride = stride,
                 .dtype = ready.dtype,
                 .weight_dtype = weight_dtype,
                 .out_dtype = out_dtype,
                 .add = add});
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < stride; ++c) {
      const std::int64_t at = r * stride + c;
      if (c >= columns) {
        ASSERT_EQ(out[at], before[at]) << "written past the columns";
        continue;
      }
      double sum = 0, magnitude = 0;
      for (std::int64_t i = 0; i < in; ++i) {
        const double product = static_cast<double>(x[r * in + i]) * weight[c * in + i];
        sum += product;
        magnitude += std::abs(product);
      }
      if (with_bias) sum += bias[static_cast<std::size_t>(c)];
      if (add) sum += before[at];
      // in multiply-adds, and two more additions of numbers below 1.
      const double bound =
          static_cast<double>(in + 3) * kFloatRoundoff * (magnitude + 2) + roundoff(out_dtype) * std::abs(sum) * 1.01;
      ASSERT_NEAR(out[at], sum, bound) << "row " << r << " column " << c;
    }
  }
}

TEST_P(KernelsTest, MultiplyRowsIsTheProduct) {
  for (const std::int64_t rows : {1, 2, 3, 8}) {
    for (const std::int64_t in : {1, 31, 32, 33, 64, 100, 4129}) {
      for (const std::int64_t columns : {1, 4, 7, 13}) {
        for (const DType dtype : {DType::kF32, DType::kBF16}) {
          for (const DType weight_dtype : {DType::kF32, DType::kBF16}) {
            check_multiply(dtype, weight_dtype, DType::kF32, rows, in, columns, false, false);
            check_multiply(dtype, weight_dtype, DType::kBF16, rows, in, columns, false, true);
            check_multiply(dtype, weight_dtype, DType::kF32, rows, in, columns, true, true);
          }
        }
      }
    }
  }
}

void check_rows_alone(DType dtype, DType weight_dtype, std::int64_t in) {
  const std::int64_t rows = 7, columns = 13;
  const Elements x(random_floats(rows * in, 5), dtype), weight(random_floats(columns * in, 6), weight_dtype);
  std::vector<float> together(static_cast<std::size_t>(rows * columns)), alone(static_cast<std::size_t>(columns));
  MultiplyRows params{.x = x.data(),
                      .weight = weight.data(),
                      .out = together.data(),
                      .rows = rows,
                      .in = in,
                      .columns = columns,
                      .out_stride = columns,
                      .dtype = dtype,
                      .weight_dtype = weight_dtype};
  multiply_rows(params);
  for (std::int64_t r = 0; r < rows; ++r) {
    params.x = x.bytes.data() + r * in * static_cast<std::int64_t>(dtype_size(dtype));
    params.out = alone.data();
    params.rows = 1;
    multiply_rows(params);
    for (std::int64_t c = 0; c < columns; ++c) {
      ASSERT_EQ(alone[static_cast<std::size_t>(c)], together[static_cast<std::size_t>(r * columns + c)])
          << dtype_name(dtype) << " row " << r << " column " << c << " of " << in;
    }
  }
}

TEST_P(KernelsTest, ARowsProductDoesNotDependOnTheOtherRows) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const std::int64_t in : {83, 4130}) {  // x in the first cache level, and beyond
      check_rows_alone(dtype, dtype, in);
      check_rows_alone(DType::kF32, dtype, in);
    }
  }
}

TEST_P(KernelsTest, RmsNorm) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const std::int64_t width : {1, 15, 16, 64, 515}) {
      const std::int64_t rows = 3;
      const std::vector<float> x = random_floats(rows * width, 7, 100), weight = random_floats(width, 8);
      Elements out(std::vector<float>(x.size()), dtype);
      const float eps = 1e-5f;
      rms_norm({.x = x.data(),
                .weight = weight.data(),
                .out = out.data(),
                .rows = rows,
                .width = width,
                .eps = eps,
                .dtype = dtype});
      for (std::int64_t r = 0; r < rows; ++r) {
        double squares = 0;
        for (std::int64_t i = 0; i < width; ++i) squares += std::pow(x[static_cast<std::size_t>(r * width + i)], 2);
        const double inverse = 1 / std::sqrt(squares / static_cast<double>(width) + eps);
        for (std::int64_t i = 0; i < width; ++i) {
          const double expected =
              x[static_cast<std::size_t>(r * width + i)] * inverse * weight[static_cast<std::size_t>(i)];
          // The sum of squares is of equal signs: width + 1 roundings, halved by the root; then five more.
          const double relative =
              static_cast<double>(width) / 2 * kFloatRoundoff + 6 * kFloatRoundoff + roundoff(dtype);
          ASSERT_NEAR(out[r * width + i], expected, std::abs(expected) * relative * 1.01);
        }
      }
    }
  }
}

/// In place, or from fp32 to bf16.
enum class HeadNorm { kNone, kOfEach, kAsOne };

void check_rotation(DType dtype, DType out_dtype, std::int32_t head_dim, HeadNorm kind) {
  const bool with_norm = kind != HeadNorm::kNone, as_one = kind == HeadNorm::kAsOne;
  SCOPED_TRACE(testing::Message() << dtype_name(dtype) << " to " << dtype_name(out_dtype) << " head_dim " << head_dim
                                  << " norm " << static_cast<int>(kind));
  const std::int64_t rows = 3, heads = 2, half = head_dim / 2;
  const std::vector<float> angles = random_floats(rows * half, 9, 3),
                           norm = random_floats((as_one ? heads : 1) * head_dim, 10);
  std::vector<float> cos, sin;
  for (const float angle : angles) {
    cos.push_back(std::cos(angle));
    sin.push_back(std::sin(angle));
  }
  Elements x(random_floats(rows * heads * head_dim, 11), dtype);
  const Elements before = x;
  Elements apart(std::vector<float>(static_cast<std::size_t>(rows * heads * head_dim)), out_dtype);
  Elements& out = dtype == out_dtype ? x : apart;
  const float eps = 1e-6f;
  norm_and_rotate({.x = x.data(),
                   .out = out.data(),
                   .norm = with_norm ? norm.data() : nullptr,
                   .cos = cos.data(),
                   .sin = sin.data(),
                   .rows = rows,
                   .heads = heads,
                   .head_dim = head_dim,
                   .as_one = as_one,
                   .eps = eps,
                   .factor = 1.25f,
                   .dtype = dtype,
                   .out_dtype = out_dtype});
  for (std::int64_t head = 0; head < rows * heads; ++head) {
    double squares = 0;
    const std::int64_t first = as_one ? head / heads * heads : head, width = (as_one ? heads : 1) * head_dim;
    for (std::int64_t i = 0; i < width; ++i) squares += std::pow(before[first * head_dim + i], 2);
    const double inverse = 1.25 * (with_norm ? 1 / std::sqrt(squares / static_cast<double>(width) + eps) : 1);
    const auto scaled = [&](std::int64_t i) {
      const std::int64_t at = (head - first) * head_dim + i;
      return before[head * head_dim + i] * inverse * (with_norm ? norm[static_cast<std::size_t>(at)] : 1.0f);
    };
    for (std::int64_t i = 0; i < half; ++i) {
      const auto at = static_cast<std::size_t>(head / heads * half + i);
      const double a = scaled(i), b = scaled(half + i);
      const double low = a * cos[at] - b * sin[at], high = b * cos[at] + a * sin[at];
      const double magnitude = std::abs(a) + std::abs(b);
      const double bound = magnitude * (static_cast<double>(width) / 2 + 11) * kFloatRoundoff;
      ASSERT_NEAR(out[head * head_dim + i], low, bound + roundoff(out_dtype) * std::abs(low) * 1.01);
      ASSERT_NEAR(out[head * head_dim + half + i], high, bound + roundoff(out_dtype) * std::abs(high) * 1.01);
    }
  }
}

TEST_P(KernelsTest, NormAndRotate) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const std::int32_t head_dim : {2, 10, 32, 64, 96, 128}) {
      for (const HeadNorm norm : {HeadNorm::kNone, HeadNorm::kOfEach, HeadNorm::kAsOne}) {
        check_rotation(dtype, dtype, head_dim, norm);
        check_rotation(DType::kF32, dtype, head_dim, norm);
      }
    }
  }
}

TEST_P(KernelsTest, Swiglu) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    std::vector<float> gates = random_floats(77, 12, 30);
    gates.insert(gates.end(), {0, -0.0f, 100, -100, 1e30f, -1e30f});
    const auto n = static_cast<std::int64_t>(gates.size());
    Elements gate(gates, dtype);
    const Elements before = gate, up(random_floats(n, 13), dtype);
    activate(Activation::kSilu, gate.data(), up.data(), dtype, n);
    for (std::int64_t i = 0; i < n; ++i) {
      const double g = before[i];
      const double expected = g / (1 + std::exp(-g)) * up[i];
      // exp to 4 ulps, six more roundings; below e^-88 the quotient is cut off at |g| e^-88.
      const double bound = std::abs(expected) * (14 * kFloatRoundoff + roundoff(dtype)) + std::abs(g) * 1e-38;
      ASSERT_NEAR(gate[i], expected, bound) << "gate " << g;
    }
  }
}

TEST_P(KernelsTest, GeluTanh) {
  std::vector<float> gates = random_floats(77, 12, 6);
  gates.insert(gates.end(), {0, -0.0f, 12, -12, 100, -100, 1e10f, -1e10f});
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const auto n = static_cast<std::int64_t>(gates.size());
    Elements gate(gates, dtype);
    const Elements before = gate, up(random_floats(n, 13), dtype);
    activate(Activation::kGeluTanh, gate.data(), up.data(), dtype, n);
    for (std::int64_t i = 0; i < n; ++i) {
      const double g = before[i], u = std::sqrt(2 / std::numbers::pi) * (g + 0.044715 * g * g * g);
      const double share = 1 / (1 + std::exp(-2 * u)), expected = g * share * up[i];
      // As of SwiGLU; an error of five roundings in 2 u changes the share by that times 2 u (1 - share).
      const double exponent = 5 * std::min(std::abs(2 * u), 88.0) * (1 - share);
      const double bound = std::abs(expected) * ((14 + exponent) * kFloatRoundoff + roundoff(dtype));
      ASSERT_NEAR(gate[i], expected, bound + std::abs(g) * 1e-37) << "gate " << g;
    }
  }
}

TEST_P(KernelsTest, AddBranch) {
  for (const bool with_norm : {false, true}) {
    for (const std::int64_t width : {1, 15, 16, 515}) {
      const std::int64_t rows = 2;
      const std::vector<float> before = random_floats(rows * width, 7), branch = random_floats(rows * width, 8, 3);
      const std::vector<float> weight = random_floats(width, 9);
      std::vector<float> x = before;
      add_branch({.x = x.data(),
                  .branch = branch.data(),
                  .weight = with_norm ? weight.data() : nullptr,
                  .rows = rows,
                  .width = width,
                  .eps = 1e-5f,
                  .factor = 0.7f});
      for (std::int64_t i = 0; i < rows * width; ++i) {
        double squares = 0;
        for (std::int64_t j = 0; j < width; ++j) {
          squares += std::pow(branch[static_cast<std::size_t>(i / width * width + j)], 2);
        }
        const auto at = static_cast<std::size_t>(i);
        const double factor = with_norm ? weight[static_cast<std::size_t>(i % width)] /
                                              std::sqrt(squares / static_cast<double>(width) + 1e-5)
                                        : 0.7f;
        const double added = branch[at] * factor;
        const double bound = std::abs(added) * (static_cast<double>(width) / 2 + 8) + std::abs(before[at] + added);
        ASSERT_NEAR(x[at], before[at] + added, bound * kFloatRoundoff * 1.01) << width;
      }
    }
  }
}

TEST_P(KernelsTest, Bf16IsRoundedToNearestEvenAndNanStaysNan) {
  // A row of ones has rms 1 exactly, so that the norm's weights themselves are what is stored.
  std::vector<float> weights;
  for (int i = 0; i < 5; ++i) {  // through the vectors and the rest of the row
    for (const float value : {1.00390625f, 1.01171875f, -1.00390625f, 1.00390637f, 3.4e38f, 0.0f, 1e-40f,
                              std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      weights.push_back(value);
    }
  }
  const std::vector<float> ones(weights.size(), 1);
  std::vector<std::uint16_t> out(weights.size());
  rms_norm({.x = ones.data(), .weight = weights.data(), .out = out.data(), .rows = 1, .width = std::ssize(weights)});
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (std::isnan(weights[i])) {
      EXPECT_TRUE(std::isnan(bf16_to_float(out[i])));
    } else {
      EXPECT_EQ(out[i], float_to_bf16(weights[i])) << weights[i];
    }
  }
}

}  // namespace
}  // namespace tca::runtime::kernels
