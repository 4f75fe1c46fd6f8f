// Row kernels of answer gradients against plain loops in double, on every vector target. Exponentials are within 4 ulp
// of their values; u = 2^-24.
#include "runtime/model/answer_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/highway_targets.h"
#include "model/test_data.h"

namespace tca::runtime::kernels {
namespace {

using test::kFloatRoundoff;
using test::random_floats;

constexpr std::int64_t kSizes[] = {1, 3, 8, 17, 64, 331, 9001};
// An exponential of an exponent below 8: 4 ulp, and what rounding the exponent does.
constexpr double kExpError = 16 * kFloatRoundoff;

class AnswerKernelsTest : public test::OnEveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, AnswerKernelsTest, test::every_target(), test::target_name);

TEST_P(AnswerKernelsTest, Largest) {
  for (const std::int64_t n : kSizes) {
    const std::vector<float> x = random_floats(n, 1);
    EXPECT_EQ(largest(x.data(), n), *std::max_element(x.begin(), x.end())) << n;
  }
}

TEST_P(AnswerKernelsTest, Exponentials) {
  for (const std::int64_t n : kSizes) {
    const std::vector<float> x = random_floats(n, 2, 3);
    std::vector<float> found = x;
    found[0] = -std::numeric_limits<float>::infinity();
    const double sum = exponentials(found.data(), n, 2.5f);
    EXPECT_EQ(found[0], 0);
    double expected = 0;
    for (std::size_t i = 1; i < x.size(); ++i) {
      const double value = std::exp(static_cast<double>(x[i]) - 2.5);
      EXPECT_NEAR(found[i], value, kExpError * value);
      expected += value;
    }
    // A lane adds up to 4096 of them.
    EXPECT_NEAR(sum, expected, (kExpError + 4096 * kFloatRoundoff) * expected) << n;
  }
}

TEST_P(AnswerKernelsTest, ScaleRow) {
  for (const std::int64_t n : kSizes) {
    const std::vector<float> x = random_floats(n, 3);
    std::vector<float> found = x;
    found.push_back(7);
    scale_row(found.data(), n, -1.5f);
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(found[i], x[i] * -1.5f);
    EXPECT_EQ(found.back(), 7);
  }
}

TEST_P(AnswerKernelsTest, MagnitudeSum) {
  for (const std::int64_t n : kSizes) {
    std::vector<float> x = random_floats(n, 6, 3);
    double expected = 0;
    for (const float value : x) expected += std::abs(value);
    x.push_back(7);  // not read into the sum
    EXPECT_NEAR(magnitude_sum(x.data(), n), expected, static_cast<double>(n) * kFloatRoundoff * expected) << n;
  }
}

TEST_P(AnswerKernelsTest, SoftmaxBack) {
  for (const std::int64_t n : kSizes) {
    const std::vector<float> scores = random_floats(n, 4, 3), gradients = random_floats(n, 5);
    std::vector<float> p = scores, d = gradients;
    p.push_back(7);
    d.push_back(7);
    softmax_back(p.data(), d.data(), n, 3.5f, 0.25f);
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const double probability = std::exp(static_cast<double>(scores[i]) - 3.5);
      EXPECT_NEAR(p[i], probability, kExpError * probability);
      EXPECT_NEAR(d[i], probability * (gradients[i] - 0.25), 1.25 * (kExpError + 2 * kFloatRoundoff) * probability);
    }
    EXPECT_EQ(p.back() + d.back(), 14);
  }
}

TEST_P(AnswerKernelsTest, ProbabilitySums) {
  for (const std::int64_t n : kSizes) {
    std::vector<float> scores = random_floats(n, 6, 3), values = random_floats(n, 7);
    scores.resize(scores.size() + kReadBeyond, std::numeric_limits<float>::quiet_NaN());
    values.resize(scores.size(), std::numeric_limits<float>::quiet_NaN());
    std::vector<std::int32_t> ends = {static_cast<std::int32_t>(n)};
    if (n > 3) ends = {1, 2, static_cast<std::int32_t>(n / 2), static_cast<std::int32_t>(n - 1)};
    std::vector<float> sums(ends.size()), value_sums(ends.size());
    probability_sums(scores.data(), values.data(), ends, 3.5f, sums.data(), value_sums.data());
    std::int32_t begin = 0;
    for (std::size_t run = 0; run < ends.size(); begin = ends[run++]) {
      double sum = 0, value_sum = 0;
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(ends[run]); ++i) {
        const double p = std::exp(static_cast<double>(scores[i]) - 3.5);
        sum += p;
        value_sum += p * values[i];
      }
      const double bound = (kExpError + (ends[run] - begin + 1) * kFloatRoundoff) * sum;
      EXPECT_NEAR(sums[run], sum, bound);
      EXPECT_NEAR(value_sums[run], value_sum, bound);
    }
  }
}

TEST_P(AnswerKernelsTest, SwigluBack) {
  for (const std::int64_t n : kSizes) {
    std::vector<float> gate = random_floats(n, 8, 6);
    const std::vector<float> up = random_floats(n, 9), out = random_floats(n, 10);
    gate[0] = -120;  // where exp(-gate) is no float
    std::vector<float> d_gate = gate, d_up = up;
    activate_back(Activation::kSilu, d_gate.data(), d_up.data(), out.data(), n);
    for (std::size_t i = 0; i < gate.size(); ++i) {
      const double g = gate[i], sigmoid = 1 / (1 + std::exp(-g));
      // Of terms of up to 7.
      EXPECT_NEAR(d_gate[i], out[i] * up[i] * sigmoid * (1 + g * (1 - sigmoid)), 7 * 2 * kExpError);
      EXPECT_NEAR(d_up[i], out[i] * g * sigmoid, 7 * 2 * kExpError);
    }
  }
}

}  // namespace
}  // namespace tca::runtime::kernels
