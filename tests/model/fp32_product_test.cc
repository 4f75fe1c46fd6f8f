// Blocks in fp32 on every vector target: right for all types and ragged sizes, and one sum's bits whatever the block.
#include "runtime/model/fp32_product.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/highway_targets.h"
#include "model/test_data.h"
#include "runtime/model/int8.h"

namespace tca::runtime::fp32 {
namespace {

using test::Elements;
using test::kFloatRoundoff;
using test::random_floats;
using test::roundoff;

class Fp32ProductTest : public test::OnEveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, Fp32ProductTest, test::every_target(), test::target_name);

struct Case {
  std::int64_t rows, in, columns;
  DType dtype = DType::kF32, weight_dtype = DType::kBF16, out_dtype = DType::kF32;
  bool add = false, bias = false, int8 = false;
};

/// What the case multiplies; the weights' values are those of `weight`, or in int8 scale * quantised.
struct Data {
  static constexpr std::int64_t kGap = 3;  // elements between rows of the result
  Elements x, weight, out;
  std::vector<float> bias;
  std::vector<std::int8_t> quantised;
  std::vector<float> scales;

  explicit Data(const Case& c)
      : x(random_floats(c.rows * c.in, 1), c.dtype),
        weight(random_floats(c.columns * c.in, 2), c.weight_dtype),
        out(random_floats(c.rows * (c.columns + kGap), 3), c.out_dtype),
        bias(random_floats(c.columns, 4)) {
    if (!c.int8) return;
    quantised.resize(static_cast<std::size_t>(int8::padded(c.columns) * c.in));
    scales.resize(static_cast<std::size_t>(int8::padded(c.columns)));
    const std::int64_t row = c.in * static_cast<std::int64_t>(dtype_size(c.weight_dtype));
    for (std::int64_t first = 0; first < c.columns; first += int8::kChannels) {
      EXPECT_TRUE(int8::quantise_group(weight.bytes.data() + first * row, c.weight_dtype,
                                       std::min(int8::kChannels, c.columns - first), c.in,
                                       quantised.data() + first * c.in, scales.data() + first));
    }
  }

  double weight_at(const Case& c, std::int64_t column, std::int64_t i) const {
    if (!c.int8) return weight[column * c.in + i];
    const std::int64_t group = column / int8::kChannels * int8::kChannels;
    return static_cast<double>(scales[static_cast<std::size_t>(column)]) *
           quantised[static_cast<std::size_t>(group * c.in + i * int8::kChannels + column - group)];
  }

  kernels::MultiplyRows params(const Case& c) {
    return {.x = x.data(),
            .weight = c.int8 ? static_cast<const void*>(quantised.data()) : weight.data(),
            .bias = c.bias ? bias.data() : nullptr,
            .out = out.data(),
            .rows = c.rows,
            .in = c.in,
            .columns = c.columns,
            .out_stride = c.columns + kGap,
            .dtype = c.dtype,
            .weight_dtype = c.weight_dtype,
            .out_dtype = c.out_dtype,
            .add = c.add};
  }
  const float* scales_or_null() const { return scales.empty() ? nullptr : scales.data(); }
};

void check(const Case& c) {
  SCOPED_TRACE(testing::Message() << c.rows << " rows of " << dtype_name(c.dtype) << ", " << c.in << " in, "
                                  << c.columns << " columns of " << (c.int8 ? "int8" : dtype_name(c.weight_dtype))
                                  << " to " << dtype_name(c.out_dtype) << " add " << c.add << " bias " << c.bias);
  Data data(c);
  const Elements before = data.out;
  Scratch scratch;
  multiply_block(data.params(c), data.scales_or_null(), scratch);
  const std::int64_t stride = c.columns + Data::kGap;
  for (std::int64_t r = 0; r<c.rows; r += c.rows> 30 ? 7 : 1) {
    for (std::int64_t o = c.columns; o < stride; ++o) {
      ASSERT_EQ(data.out[r * stride + o], before[r * stride + o]) << "written past the columns";
    }
    for (std::int64_t o = 0; o<c.columns; o += c.columns> 30 ? 5 : 1) {
      double sum = 0, magnitude = 0;
      for (std::int64_t i = 0; i < c.in; ++i) {
        const double product = data.x[r * c.in + i] * data.weight_at(c, o, i);
        sum += product;
        magnitude += std::abs(product);
      }
      if (c.bias) sum += data.bias[static_cast<std::size_t>(o)];
      if (c.add) sum += before[r * stride + o];
      // in products and additions, the weight's scale, and two more additions of numbers below 1.
      const double bound = static_cast<double>(c.in + 4) * kFloatRoundoff * (magnitude + 2) +
                           roundoff(c.out_dtype) * std::abs(sum) * 1.01;
      ASSERT_NEAR(data.out[r * stride + o], sum, bound) << "row " << r << " column " << o;
    }
  }
}

TEST_P(Fp32ProductTest, IsTheProductForRaggedSizes) {
  for (const std::int64_t rows : {1, 5, 13, 97}) {
    for (const std::int64_t columns : {1, 7, 16, 33, 70}) {
      for (const std::int64_t in : {1, 31, 256, 300}) check({.rows = rows, .in = in, .columns = columns});
    }
  }
}

TEST_P(Fp32ProductTest, IsTheProductForEveryType) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const DType out_dtype : {DType::kF32, DType::kBF16}) {
      for (const bool bias : {false, true}) {
        Case c{.rows = 200, .in = 270, .columns = 72, .dtype = dtype, .out_dtype = out_dtype, .bias = bias};
        check(c);
        c.weight_dtype = DType::kF32;
        check(c);
        c.int8 = true;
        check(c);
        if (out_dtype != DType::kF32) continue;
        c.add = true;
        check(c);
        c.int8 = false;
        check(c);
      }
    }
  }
}

TEST_P(Fp32ProductTest, SumsThatAreWrittenBetweenAreTheSame) {
  const std::int64_t in = 2 * kWriteElements + 300;
  for (const std::int64_t rows : {3, 100}) {  // one block, and packed weights that are kept for another
    for (const DType out_dtype : {DType::kF32, DType::kBF16}) {
      check({.rows = rows, .in = in, .columns = 9, .out_dtype = out_dtype, .bias = true});
    }
    check({.rows = rows, .in = in, .columns = 9, .add = true, .bias = true});
  }
}

TEST_P(Fp32ProductTest, ARowsBitsDependOnNothingElse) {
  const Case c{.rows = 2 * kBlockRows + 11, .in = kWriteElements + 270, .columns = 75, .bias = true};
  Data data(c);
  Scratch scratch;
  multiply_block(data.params(c), nullptr, scratch);
  const std::int64_t stride = c.columns + Data::kGap;
  for (const std::int64_t row : {std::int64_t{0}, std::int64_t{7}, kBlockRows - 1, kBlockRows, c.rows - 1}) {
    for (const std::int64_t column : {0, 1, 16, 74}) {
      kernels::MultiplyRows one = data.params(c);
      float alone = 0;
      one.x = static_cast<const float*>(one.x) + row * c.in;
      one.weight = static_cast<const std::uint16_t*>(one.weight) + column * c.in;
      one.bias += column;
      one.rows = one.columns = 1;
      one.out = &alone;
      multiply_block(one, nullptr, scratch);
      ASSERT_EQ(alone, data.out[row * stride + column]) << "row " << row << " column " << column;
    }
  }
}

TEST_P(Fp32ProductTest, AWeightThatLiesTheOtherWayGivesTheSameBits) {
  for (const DType weight_dtype : {DType::kF32, DType::kBF16}) {
    for (const std::int64_t rows : {5, 100}) {
      for (const std::int64_t columns : {1, 16, 75, 96}) {
        const Case c{.rows = rows, .in = kWriteElements + 30, .columns = columns, .weight_dtype = weight_dtype};
        Data data(c);
        const std::int64_t stride = columns + 5;
        std::vector<float> turned(static_cast<std::size_t>(c.in * stride));
        for (std::int64_t i = 0; i < c.in; ++i) {
          for (std::int64_t o = 0; o < columns; ++o) {
            turned[static_cast<std::size_t>(i * stride + o)] = data.weight[o * c.in + i];
          }
        }
        const Elements weight(turned, weight_dtype);
        Scratch scratch;
        multiply_block(data.params(c), nullptr, scratch);
        const Elements expected = data.out;
        kernels::MultiplyRows params = data.params(c);
        params.weight = weight.data();
        multiply_transposed_block(params, stride, scratch);
        EXPECT_EQ(data.out.bytes, expected.bytes) << rows << " rows, " << columns << " columns";
      }
    }
  }
}

/// By the definition in the header: slices of kSumElements, and kWriteElements of them at a time.
float defined_sum(const Data& data, const Case& c, std::int64_t row, std::int64_t column) {
  float result = 0;
  for (std::int64_t begin = 0; begin < c.in; begin += kWriteElements) {
    float written = 0;
    for (std::int64_t first = begin; first < std::min(c.in, begin + kWriteElements); first += kSumElements) {
      float sum = 0;
      for (std::int64_t i = first; i < std::min(c.in, first + kSumElements); ++i) {
        sum = std::fma(data.x[row * c.in + i], data.weight[column * c.in + i], sum);
      }
      written = first == begin ? sum : written + sum;
    }
    result = begin == 0 ? written : written + result;
  }
  return result;
}

TEST_P(Fp32ProductTest, TheOrderOfASumIsTheSameOnEveryProcessor) {
#if HWY_ARCH_X86
  if (GetParam() > HWY_AVX2) GTEST_SKIP() << "multiplies and adds in two steps";
#endif
  const Case c{.rows = 14, .in = kWriteElements + 270, .columns = 35};
  Data data(c);
  Scratch scratch;
  multiply_block(data.params(c), nullptr, scratch);
  for (std::int64_t row = 0; row < c.rows; ++row) {
    for (std::int64_t column = 0; column < c.columns; ++column) {
      ASSERT_EQ(data.out[row * (c.columns + Data::kGap) + column], defined_sum(data, c, row, column));
    }
  }
}

}  // namespace
}  // namespace tca::runtime::fp32
