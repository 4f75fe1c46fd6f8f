// Experts against what each row's choice says, row by row in double.
#include "runtime/model/experts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/test_data.h"

namespace tca::runtime {
namespace {

using test::random_floats;

constexpr std::int64_t kHidden = 24, kInner = 16, kExperts = 7;

struct Problem {
  explicit Problem(std::int64_t rows) : x(random_floats(rows * kHidden, 1)) {
    const auto linear = [&](std::int64_t in, std::int64_t out) {
      values.push_back(random_floats(in * out, 2 + values.size(), 0.5f));
      return Linear{.weight = values.back().data(), .dtype = DType::kF32, .in = in, .out = out};
    };
    values.reserve(1 + 3 * kExperts);
    weights.router = linear(kHidden, kExperts);
    for (std::int64_t e = 0; e < kExperts; ++e) {
      weights.experts.push_back(
          {.gate = linear(kHidden, kInner), .up = linear(kHidden, kInner), .down = linear(kInner, kHidden)});
    }
  }

  std::vector<float> run(std::int64_t first, std::int64_t rows, int threads, float start) {
    ThreadPool pool(threads);
    MatrixProducts products;
    ExpertMlp mlp;
    std::vector<float> out(static_cast<std::size_t>(rows * kHidden), start);
    mlp.run({.spec = &spec,
             .weights = &weights,
             .x = x.data() + first * kHidden,
             .dtype = DType::kF32,
             .rows = rows,
             .out = out.data(),
             .factor = 0.5f},
            products, pool);
    return out;
  }

  std::vector<double> expected(std::int64_t row) const {
    const auto times = [](const Linear& w, const auto& in) {
      std::vector<double> out;
      for (std::int64_t o = 0; o < w.out; ++o) {
        const float* const row_of_w = static_cast<const float*>(w.weight) + o * w.in;
        double sum = 0;
        for (std::int64_t i = 0; i < w.in; ++i) sum += in[static_cast<std::size_t>(i)] * row_of_w[i];
        out.push_back(sum);
      }
      return out;
    };
    const std::vector<float> input(x.begin() + row * kHidden, x.begin() + (row + 1) * kHidden);
    const std::vector<double> logits = times(weights.router, input);
    std::vector<std::size_t> order(kExperts);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
    double sum = 0;
    for (std::size_t i = 0; i < (spec.renormalise ? static_cast<std::size_t>(spec.chosen) : kExperts); ++i) {
      sum += std::exp(logits[order[i]]);
    }
    std::vector<double> result(kHidden);
    for (std::int32_t i = 0; i < spec.chosen; ++i) {
      const std::size_t e = order[static_cast<std::size_t>(i)];
      std::vector<double> gate = times(weights.experts[e].gate, input);
      const std::vector<double> up = times(weights.experts[e].up, input);
      for (std::size_t j = 0; j < gate.size(); ++j) gate[j] *= up[j] / (1 + std::exp(-gate[j]));
      const std::vector<double> down = times(weights.experts[e].down, gate);
      for (std::size_t c = 0; c < result.size(); ++c) result[c] += 0.5 * std::exp(logits[e]) / sum * down[c];
    }
    return result;
  }

  ExpertsSpec spec{.chosen = 3, .renormalise = true, .router = {}, .experts = {}};
  std::vector<float> x;
  std::vector<std::vector<float>> values;
  ExpertWeights weights;
};

TEST(ExpertMlp, EveryRowGetsWhatItsExpertsMakeOfIt) {
  for (const bool renormalise : {true, false}) {
    for (const std::int64_t rows : {1, 2, 9, 300}) {
      Problem problem(rows);
      problem.spec.renormalise = renormalise;
      const std::vector<float> found = problem.run(0, rows, 2, 1);
      for (std::int64_t row = 0; row < rows; ++row) {
        const std::vector<double> expected = problem.expected(row);
        for (std::int64_t c = 0; c < kHidden; ++c) {
          // Sums of some hundred products of values of up to 30.
          ASSERT_NEAR(found[static_cast<std::size_t>(row * kHidden + c)], 1 + expected[static_cast<std::size_t>(c)],
                      1e-4)
              << row << " of " << rows;
        }
      }
    }
  }
}

TEST(ExpertMlp, NoBitDependsOnTheThreads) {
  Problem problem(70);
  EXPECT_EQ(problem.run(0, 70, 1, 0), problem.run(0, 70, 5, 0));
}

}  // namespace
}  // namespace tca::runtime
