// int8 weights: what quantisation loses, products against double, and that rows, threads and block sizes agree.
#include "runtime/model/int8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/highway_targets.h"
#include "model/test_data.h"
#include "runtime/model/linear.h"

namespace tca::runtime {
namespace {

using test::Elements;
using test::kFloatRoundoff;
using test::random_floats;
using test::roundoff;

class Int8Test : public test::OnEveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, Int8Test, test::every_target(), test::target_name);

/// Random weights [channels, in] of different size by channel, quantised.
struct Quantised {
  std::int64_t in, channels;
  Elements stored;
  std::vector<std::int8_t> weight;
  std::vector<float> scales;

  Quantised(std::int64_t inner, std::int64_t outer, DType dtype, std::uint64_t seed)
      : in(inner),
        channels(outer),
        stored(values(inner, outer, seed), dtype),
        weight(static_cast<std::size_t>(inner * int8::padded(outer))),
        scales(static_cast<std::size_t>(int8::padded(outer))) {
    const auto row_bytes = static_cast<std::int64_t>(dtype_size(dtype)) * in;
    for (std::int64_t c = 0; c < channels; c += int8::kChannels) {
      EXPECT_TRUE(int8::quantise_group(stored.bytes.data() + c * row_bytes, dtype,
                                       std::min(int8::kChannels, channels - c), in, weight.data() + c * in,
                                       scales.data() + c));
    }
  }
  static std::vector<float> values(std::int64_t in, std::int64_t channels, std::uint64_t seed) {
    std::vector<float> all = random_floats(in * channels, seed);
    for (std::int64_t i = 0; i < in * channels; ++i) {
      all[static_cast<std::size_t>(i)] *= static_cast<float>(1 + i / in % 7);
    }
    return all;
  }
  int at(std::int64_t channel, std::int64_t i) const {
    const std::int64_t group = channel / int8::kChannels * int8::kChannels;
    return weight[static_cast<std::size_t>(group * in + i * int8::kChannels + channel - group)];
  }
  float scale(std::int64_t channel) const { return scales[static_cast<std::size_t>(channel)]; }
  Linear linear(std::vector<float> bias) const {
    return {.weight = weight.data(), .in = in, .out = channels, .bias = std::move(bias), .scales = scales};
  }
};

TEST(Int8, QuantisesToTheNearest) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const std::int64_t channels : {1, 64, 70}) {
      const Quantised q(75, channels, dtype, 1);
      for (std::int64_t c = 0; c < channels; ++c) {
        float most = 0;
        int most_quantised = 0;
        for (std::int64_t i = 0; i < q.in; ++i) {
          const float w = q.stored[c * q.in + i];
          most = std::max(most, std::abs(w));
          most_quantised = std::max(most_quantised, std::abs(q.at(c, i)));
          // Half a step; the scale and the quotient, at most 127, are each rounded once.
          ASSERT_NEAR(q.scale(c) * q.at(c, i), w, q.scale(c) * (0.5 + 3 * 127 * kFloatRoundoff));
        }
        ASSERT_EQ(q.scale(c), most / 127);
        ASSERT_EQ(most_quantised, 127);
      }
    }
  }
}

TEST(Int8, WhatIsNotThereIsZero) {
  const Quantised q(5, 3, DType::kF32, 2);
  for (std::int64_t c = 3; c < int8::kChannels; ++c) {
    EXPECT_EQ(q.scale(c), 0);
    for (std::int64_t i = 0; i < 5; ++i) EXPECT_EQ(q.at(c, i), 0);
  }
  std::vector<float> zeros(7), scales(int8::kChannels);
  std::vector<std::int8_t> weight(7 * int8::kChannels, 1);
  EXPECT_TRUE(int8::quantise_group(zeros.data(), DType::kF32, 1, 7, weight.data(), scales.data()));
  EXPECT_EQ(scales, std::vector<float>(int8::kChannels));
  EXPECT_EQ(weight, std::vector<std::int8_t>(7 * int8::kChannels));
}

TEST(Int8, RefusesWhatIsNotFinite) {
  std::vector<float> scales(int8::kChannels);
  std::vector<std::int8_t> weight(3 * int8::kChannels);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const std::vector<float> w = {1, bad, 2};
    EXPECT_FALSE(int8::quantise_group(w.data(), DType::kF32, 1, 3, weight.data(), scales.data()));
  }
}

TEST_P(Int8Test, WideningMultipliesByTheScaleAndRounds) {
  for (const std::int64_t channels : {1, 64, 77, 130}) {
    const Quantised q(9, channels, DType::kF32, 3);
    std::vector<std::uint16_t> wide(static_cast<std::size_t>(9 * channels));
    int8::widen(q.weight.data(), q.scales.data(), q.in, channels, wide.data());
    for (std::int64_t i = 0; i < q.in; ++i) {
      for (std::int64_t c = 0; c < channels; ++c) {
        ASSERT_EQ(wide[static_cast<std::size_t>(i * channels + c)],
                  float_to_bf16(q.scale(c) * static_cast<float>(q.at(c, i))));
      }
    }
  }
}

struct Case {
  std::int64_t rows, in, out;
  DType dtype, out_dtype;
  bool add, bias;
};

Elements result_before(const Case& c) { return Elements(random_floats(c.rows * c.out, 5), c.out_dtype); }

Elements multiply(const Case& c, const Quantised& q, const Elements& x, int threads) {
  Elements result = result_before(c);
  const Linear linear = q.linear(c.bias ? random_floats(c.out, 6) : std::vector<float>());
  ThreadPool pool(threads);
  MatrixProducts products;
  const Product product{.linear = &linear,
                        .x = x.data(),
                        .x_dtype = c.dtype,
                        .out = result.data(),
                        .out_dtype = c.out_dtype,
                        .add = c.add};
  products.run(c.rows, std::array{product}, pool);
  return result;
}

/// All results against sums in double over the quantised weights; few rows and blocks of rows alike.
void check(const Case& c) {
  SCOPED_TRACE(testing::Message() << c.rows << " rows, " << c.in << " in, " << c.out << " out, " << dtype_name(c.dtype)
                                  << " to " << dtype_name(c.out_dtype) << " add " << c.add << " bias " << c.bias);
  const Quantised q(c.in, c.out, DType::kBF16, 7);
  const Elements x(random_floats(c.rows * c.in, 8), c.dtype), before = result_before(c);
  const Elements result = multiply(c, q, x, 1);
  for (const int threads : {2, 3}) ASSERT_EQ(multiply(c, q, x, threads).bytes, result.bytes);
  const std::vector<float> bias = random_floats(c.out, 6);
  for (std::int64_t r = 0; r<c.rows; r += c.rows> 16 ? 17 : 1) {
    for (std::int64_t o = 0; o<c.out; o += c.out> 64 ? 37 : 1) {
      double sum = 0, magnitude = 0;
      for (std::int64_t i = 0; i < c.in; ++i) {
        const double product = static_cast<double>(x[r * c.in + i]) * q.at(o, i) * q.scale(o);
        sum += product;
        magnitude += std::abs(product);
      }
      if (c.bias) sum += bias[static_cast<std::size_t>(o)];
      if (c.add) sum += before[r * c.out + o];
      // in multiply-adds, the scale, and two more additions of numbers below 1; blocks of bf16 may round the weights.
      const double weights = c.rows >= 16 ? roundoff(c.dtype) * 1.01 * magnitude : 0;
      const double bound = weights + static_cast<double>(c.in + 4) * kFloatRoundoff * (magnitude + 2) +
                           roundoff(c.out_dtype) * std::abs(sum) * 1.01;
      ASSERT_NEAR(result[r * c.out + o], sum, bound) << "row " << r << " column " << o;
    }
  }
}

TEST_P(Int8Test, ProductsAreRightForAnyNumberOfRowsAndThreads) {
  for (const std::int64_t rows : {1, 2, 7, 8, 9, 300}) {
    for (const auto& [in, out] : {std::pair<std::int64_t, std::int64_t>{48, 40}, {96, 1100}, {33, 7}}) {
      check({rows, in, out, DType::kF32, DType::kF32, false, false});
      check({rows, in, out, DType::kF32, DType::kF32, true, true});
      check({rows, in, out, DType::kF32, DType::kBF16, false, false});
      check({rows, in, out, DType::kBF16, DType::kBF16, false, true});
      check({rows, in, out, DType::kBF16, DType::kF32, true, false});
      check({rows, in, out, DType::kBF16, DType::kF32, true, true});
    }
  }
}

TEST_P(Int8Test, ARowsProductDoesNotDependOnTheOtherRows) {
  const std::int64_t rows = 7, in = 83, columns = 70;
  const Quantised q(in, columns, DType::kBF16, 9);
  const Elements x(random_floats(rows * in, 10), DType::kBF16);
  std::vector<float> together(static_cast<std::size_t>(rows * columns)), alone(static_cast<std::size_t>(columns));
  kernels::MultiplyRows params{.x = x.data(),
                               .weight = q.weight.data(),
                               .out = together.data(),
                               .rows = rows,
                               .in = in,
                               .columns = columns,
                               .out_stride = columns};
  int8::multiply_rows(params, q.scales.data());
  for (std::int64_t r = 0; r < rows; ++r) {
    params.x = static_cast<const std::uint16_t*>(x.data()) + r * in;
    params.out = alone.data();
    params.rows = 1;
    int8::multiply_rows(params, q.scales.data());
    for (std::int64_t c = 0; c < columns; ++c) {
      ASSERT_EQ(alone[static_cast<std::size_t>(c)], together[static_cast<std::size_t>(r * columns + c)]);
    }
  }
}

}  // namespace
}  // namespace tca::runtime
