// Products cut into pieces: right for all types, the same bits for any number of threads and any place in a segment.
#include "runtime/model/linear.h"

#include <gtest/gtest.h>

#ifdef TCA_WITH_ONEDNN
#include <omp.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/test_data.h"

namespace tca::runtime {
namespace {

using test::Elements;
using test::kFloatRoundoff;
using test::random_floats;
using test::roundoff;

struct Case {
  std::int64_t rows, in, out;
  DType dtype, weight_dtype, out_dtype;
  bool add, bias;
};

struct Data {
  Elements x, weight, result;
  Linear linear;

  explicit Data(const Case& c)
      : x(random_floats(c.rows * c.in, 1), c.dtype),
        weight(random_floats(c.in * c.out, 2), c.weight_dtype),
        result(random_floats(c.rows * c.out, 3), c.out_dtype) {
    linear = {.weight = weight.data(), .dtype = c.weight_dtype, .in = c.in, .out = c.out, .bias = {}};
    if (c.bias) linear.bias = random_floats(c.out, 4);
  }
  Product product(const Case& c) {
    return {.linear = &linear,
            .x = x.data(),
            .x_dtype = c.dtype,
            .out = result.data(),
            .out_dtype = c.out_dtype,
            .add = c.add};
  }
};

Elements multiply(const Case& c, int threads) {
  Data data(c);
  ThreadPool pool(threads);
  MatrixProducts products;
  products.run(c.rows, std::array{data.product(c)}, pool);
  return data.result;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::int64_t rows : {1, 8, 9, 255, 300, 513, 1543}) {
    for (const auto& [in, out] : {std::pair<std::int64_t, std::int64_t>{48, 40}, {96, 1100}, {33, 7}}) {
      all.push_back({rows, in, out, DType::kF32, DType::kF32, DType::kF32, false, false});
      all.push_back({rows, in, out, DType::kF32, DType::kBF16, DType::kF32, true, true});
      all.push_back({rows, in, out, DType::kF32, DType::kBF16, DType::kBF16, false, false});
      all.push_back({rows, in, out, DType::kBF16, DType::kF32, DType::kF32, true, false});
      all.push_back({rows, in, out, DType::kBF16, DType::kBF16, DType::kBF16, false, true});
      all.push_back({rows, in, out, DType::kBF16, DType::kBF16, DType::kF32, true, false});
    }
  }
  return all;
}

TEST(Linear, IsTheProduct) {
  for (const Case& c : cases()) {
    Data data(c);
    const Elements before = data.result, result = multiply(c, 2);
    for (std::int64_t r = 0; r<c.rows; r += c.rows> 16 ? 17 : 1) {
      for (std::int64_t o = 0; o<c.out; o += c.out> 64 ? 37 : 1) {
        double sum = c.add ? before[r * c.out + o] : 0, magnitude = 2;
        for (std::int64_t i = 0; i < c.in; ++i) {
          const double product = static_cast<double>(data.x[r * c.in + i]) * data.weight[o * c.in + i];
          sum += product;
          magnitude += std::abs(product);
        }
        if (c.bias) sum += data.linear.bias[static_cast<std::size_t>(o)];
        const double bound =
            static_cast<double>(c.in + 3) * kFloatRoundoff * magnitude + roundoff(c.out_dtype) * std::abs(sum) * 1.01;
        ASSERT_NEAR(result[r * c.out + o], sum, bound)
            << c.rows << " rows, " << c.in << " in, " << c.out << " out, " << dtype_name(c.dtype) << " by "
            << dtype_name(c.weight_dtype) << " to " << dtype_name(c.out_dtype) << ", row " << r << " column " << o;
      }
    }
  }
}

TEST(Linear, ThreadsMakeNoBitOfDifference) {
  for (const Case& c : cases()) {
    const Elements one = multiply(c, 1);
    for (const int threads : {2, 3}) ASSERT_EQ(multiply(c, threads).bytes, one.bytes) << c.rows << " rows";
  }
}

TEST(Linear, ABlocksBitsDoNotDependOnHowManyFollow) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const std::int64_t out : {40, 1100}) {
      // As many blocks as a piece can have and one more, on one thread; then the first alone.
      const Case many{9 * 256, 96, out, dtype, DType::kBF16, dtype, false, true};
      Case one = many;
      one.rows = 256;
      const Elements all = multiply(many, 1), first = multiply(one, 1);
      ASSERT_TRUE(std::equal(first.bytes.begin(), first.bytes.end(), all.bytes.begin()));
      for (const int threads : {2, 3, 16}) ASSERT_EQ(multiply(many, threads).bytes, all.bytes);
    }
  }
}

TEST(Linear, SeveralProductsAtOnceAreEachTheSame) {
  const Case first{300, 96, 40, DType::kF32, DType::kF32, DType::kF32, false, true},
      second{300, 48, 700, DType::kF32, DType::kBF16, DType::kF32, true, false};
  Data a(first), b(second);
  ThreadPool pool(2);
  MatrixProducts products;
  products.run(300, std::array{a.product(first), b.product(second)}, pool);
  EXPECT_EQ(a.result.bytes, multiply(first, 1).bytes);
  EXPECT_EQ(b.result.bytes, multiply(second, 1).bytes);
}

TEST(Linear, TransposedTakesAGradientBack) {
  for (const std::int64_t rows : {1, 8, 300}) {
    for (const DType weight_dtype : {DType::kF32, DType::kBF16}) {
      // weight [70, 48] as it is stored, times gradients of 70: the gradient of x.
      const Elements weight(random_floats(70 * 48, 2), weight_dtype), d_out(random_floats(rows * 70, 1), DType::kF32);
      const Linear linear{.weight = weight.data(), .dtype = weight_dtype, .in = 48, .out = 70, .bias = {}},
          back = transposed(linear);
      std::vector<float> d_x(static_cast<std::size_t>(rows * 48));
      ThreadPool pool(2);
      MatrixProducts products;
      const Product product{
          .linear = &back, .x = d_out.data(), .x_dtype = DType::kF32, .out = d_x.data(), .out_dtype = DType::kF32};
      products.run(rows, std::array{product}, pool);
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t i = 0; i < 48; ++i) {
          double sum = 0;
          for (std::int64_t o = 0; o < 70; ++o) sum += static_cast<double>(d_out[r * 70 + o]) * weight[o * 48 + i];
          ASSERT_NEAR(d_x[static_cast<std::size_t>(r * 48 + i)], sum, 73 * 72 * kFloatRoundoff) << rows << " rows";
        }
      }
    }
  }
}

TEST(Linear, FewRowsThatShareXEachReadIt) {
  // x is brought into the weights' order once for both products, and anew for the next run with another x.
  const Case first{3, 96, 40, DType::kF32, DType::kBF16, DType::kF32, false, true},
      second{3, 96, 700, DType::kF32, DType::kBF16, DType::kBF16, false, false};
  Data a(first), b(second);
  ThreadPool pool(2);
  MatrixProducts products;
  products.run(3, std::array{a.product(first), b.product(second)}, pool);
  EXPECT_EQ(a.result.bytes, multiply(first, 1).bytes);
  EXPECT_EQ(b.result.bytes, multiply(second, 1).bytes);
  static_cast<float*>(a.x.data())[5] += 1;
  const Elements before = a.result;
  products.run(3, std::array{a.product(first)}, pool);
  EXPECT_NE(a.result.bytes, before.bytes);
}

TEST(Linear, ACancelledRunLeavesTheRestOut) {
  const Case c{300, 48, 40, DType::kF32, DType::kBF16, DType::kF32, false, false};
  Data data(c);
  const Elements before = data.result;
  ThreadPool pool(2);
  MatrixProducts products;
  const std::atomic<bool> cancel{true};
  products.run(c.rows, std::array{data.product(c)}, pool, &cancel);
  EXPECT_EQ(data.result.bytes, before.bytes);
}

#ifdef TCA_WITH_ONEDNN
TEST(Linear, TheApplicationsOpenMpSettingComesBack) {
  omp_set_num_threads(3);
  multiply({300, 48, 40, DType::kBF16, DType::kBF16, DType::kF32, false, false}, 2);
  EXPECT_EQ(omp_get_max_threads(), 3);
}
#endif

}  // namespace
}  // namespace tca::runtime
