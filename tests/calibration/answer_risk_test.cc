// Changes of margins against sums in double over what each option keeps, written out; curves worked by hand.
#include "calibration/answer_risk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/half.h"
#include "model/test_data.h"
#include "tca/error.h"

namespace tca::calibration {
namespace {

using test::Elements;
using test::random_floats;

struct Case {
  std::int64_t tokens = 300;
  std::int32_t heads = 4, kv_heads = 2, dim = 24;
  std::vector<std::int64_t> questions = {0, 5, 6};  // of 140 rows
  RiskOptions options = {.sinks = 3, .windows = {1, 16, 40}, .shares = {0, 0.05, 0.1, 0.33, 0.5, 1}};
  DType dtype = DType::kF32;
};

struct Data {
  static constexpr std::int64_t kRows = 140;
  Case c;
  Elements k, v;
  std::vector<float> q, own_k, own_v, gradient, lse, scores;
  runtime::LayerGradient layer;

  explicit Data(const Case& of)
      : c(of),
        k(random_floats(c.tokens * c.kv_heads * c.dim, 1, 2), c.dtype),
        v(random_floats(c.tokens * c.kv_heads * c.dim, 2), c.dtype),
        q(random_floats(kRows * c.heads * c.dim, 3, 2)),
        own_k(random_floats(kRows * c.kv_heads * c.dim, 4, 2)),
        own_v(random_floats(kRows * c.kv_heads * c.dim, 5)),
        gradient(random_floats(kRows * c.heads * c.dim, 6)),
        scores(random_floats(c.kv_heads * c.tokens, 7)) {
    // Ties, and a score that is none.
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (i % 3 == 0) scores[i] = 0.25f;
    }
    scores[scores.size() / 2] = std::numeric_limits<float>::quiet_NaN();
    for (std::int64_t row = 0; row < kRows; ++row) {
      for (std::int32_t head = 0; head < c.heads; ++head) lse.push_back(static_cast<float>(log_sum(row, head)));
    }
    layer = {.layer = 0,
             .q = contiguous(static_cast<const void*>(q.data()), DType::kF32, kRows, c.heads, c.dim),
             .k = contiguous(static_cast<const void*>(own_k.data()), DType::kF32, kRows, c.kv_heads, c.dim),
             .v = contiguous(static_cast<const void*>(own_v.data()), DType::kF32, kRows, c.kv_heads, c.dim),
             .lse = lse,
             .gradient = contiguous(static_cast<const void*>(gradient.data()), DType::kF32, kRows, c.heads, c.dim)};
  }

  std::int64_t begin(std::int64_t row) const {
    return *(std::upper_bound(c.questions.begin(), c.questions.end(), row) - 1);
  }
  std::vector<double> found(int threads = 2) const {
    ThreadPool pool(threads);
    return margin_changes({.rows = &layer,
                           .questions = c.questions,
                           .document = {contiguous(k.data(), c.dtype, c.tokens, c.kv_heads, c.dim),
                                        contiguous(v.data(), c.dtype, c.tokens, c.kv_heads, c.dim)},
                           .scores = scores},
                          c.options, pool);
  }

  // Tokens of the document, then the question's rows up to this one.
  struct Seen {
    double score = 0, product = 0;            // q.k / sqrt(d), gradient.v
    double score_size = 0, product_size = 0;  // the same of magnitudes
  };
  std::vector<Seen> seen(std::int64_t row, std::int64_t head) const {
    const std::int64_t kv_head = head / (c.heads / c.kv_heads);
    std::vector<Seen> all;
    const auto add = [&](const auto& keys, const auto& values, std::int64_t token) {
      Seen one;
      for (std::int64_t e = 0; e < c.dim; ++e) {
        const std::int64_t at = (token * c.kv_heads + kv_head) * c.dim + e, of_row = (row * c.heads + head) * c.dim + e;
        const double score = static_cast<double>(q[static_cast<std::size_t>(of_row)]) * keys(at) / std::sqrt(c.dim);
        const double product = static_cast<double>(gradient[static_cast<std::size_t>(of_row)]) * values(at);
        one.score += score;
        one.product += product;
        one.score_size += std::abs(score);
        one.product_size += std::abs(product);
      }
      all.push_back(one);
    };
    const auto own = [](const std::vector<float>& x) {
      return [&x](std::int64_t i) { return x[static_cast<std::size_t>(i)]; };
    };
    for (std::int64_t token = 0; token < c.tokens; ++token) {
      add([&](std::int64_t i) { return k[i]; }, [&](std::int64_t i) { return v[i]; }, token);
    }
    for (std::int64_t other = begin(row); other <= row; ++other) add(own(own_k), own(own_v), other);
    return all;
  }
  double log_sum(std::int64_t row, std::int64_t head) const {
    double sum = 0;
    for (const Seen& one : seen(row, head)) sum += std::exp(one.score);
    return std::log(sum);
  }
};

/// What a head keeps of the document.
std::vector<bool> keeps(const Case& c, std::span<const float> scores, std::int32_t window, double share) {
  std::vector<bool> kept(static_cast<std::size_t>(c.tokens));
  std::vector<std::size_t> others;
  for (std::size_t j = 0; j < kept.size(); ++j) {
    kept[j] = j < static_cast<std::size_t>(c.options.sinks) || static_cast<std::int64_t>(j) >= c.tokens - window;
    if (!kept[j]) others.push_back(j);
  }
  const auto value = [&](std::size_t j) { return std::isnan(scores[j]) ? 0 : scores[j]; };
  std::stable_sort(others.begin(), others.end(), [&](std::size_t a, std::size_t b) { return value(a) > value(b); });
  const auto n = static_cast<std::size_t>(std::floor(share * static_cast<double>(others.size()) + 0.5));
  for (std::size_t i = 0; i < n; ++i) kept[others[i]] = true;
  return kept;
}

void check(const Case& c) {
  const Data data(c);
  const std::vector<double> found = data.found();
  const std::size_t questions = c.questions.size(), options = c.options.count();
  std::vector<double> expected(static_cast<std::size_t>(c.kv_heads) * questions * options);
  ASSERT_EQ(found.size(), expected.size());
  const std::int32_t group = c.heads / c.kv_heads;
  double score_size = 0, product_size = 0;  // the largest
  for (std::int32_t head = 0; head < c.heads; ++head) {
    const auto kv_head = static_cast<std::size_t>(head / group);
    const auto scores = std::span(data.scores)
                            .subspan(kv_head * static_cast<std::size_t>(c.tokens), static_cast<std::size_t>(c.tokens));
    std::vector<std::vector<bool>> kept;
    for (const std::int32_t window : c.options.windows) {
      for (const double share : c.options.shares) kept.push_back(keeps(c, scores, window, share));
    }
    for (std::int64_t row = 0; row < Data::kRows; ++row) {
      const auto seen = data.seen(row, head);
      const auto question = static_cast<std::size_t>(
          std::find(c.questions.begin(), c.questions.end(), data.begin(row)) - c.questions.begin());
      const auto mean = [&](const std::vector<bool>& of) {
        double sum = 0, product = 0;
        for (std::size_t j = 0; j < seen.size(); ++j) {
          if (j < of.size() && !of[j]) continue;
          sum += std::exp(seen[j].score);
          product += std::exp(seen[j].score) * seen[j].product;
          score_size = std::max(score_size, seen[j].score_size);
          product_size = std::max(product_size, seen[j].product_size);
        }
        return product / sum;
      };
      const double full = mean({});
      for (std::size_t option = 0; option < options; ++option) {
        expected[(kv_head * questions + question) * options + option] += mean(kept[option]) - full;
      }
    }
  }
  // A score has d + 4 roundings (products, sums, scale, exponential), relative to its magnitudes; it moves a mean of
  // products by twice as much, relative to theirs, which have d roundings of their own. 16: the log-sum-exp, which
  // means do without, and sums of probabilities in lanes.
  const double u = 0x1p-24, d = c.dim;
  const double of_query = 2 * product_size * u * (2 * (d + 4) * score_size + d + 16);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::size_t question = i / options % questions;
    const std::int64_t end = question + 1 < questions ? c.questions[question + 1] : Data::kRows;
    const double bound = of_query * static_cast<double>((end - c.questions[question]) * group);
    ASSERT_NEAR(found[i], expected[i], bound) << "option " << i % options << " question " << question;
    if (i % options + 1 == options) {
      EXPECT_NEAR(found[i], 0, 1e-12) << "everything is kept";
    }
  }
}

TEST(MarginChanges, AreThoseOfAttentionOverWhatIsKept) { check({}); }

TEST(MarginChanges, OfOneHeadAndOfOneGroup) {
  check({.heads = 2, .kv_heads = 2});
  check({.heads = 8, .kv_heads = 1});
}

TEST(MarginChanges, OfDocumentsInOtherTypes) {
  check({.dtype = DType::kBF16});
  check({.dtype = DType::kF16});
}

TEST(MarginChanges, OfLongAndShortDocuments) {
  check({.tokens = 1100, .heads = 2, .kv_heads = 1, .dim = 8});
  check({.tokens = 20});  // shorter than the largest window
  check({.tokens = 2});   // shorter than the sinks
  check({.tokens = 3});
  check({.tokens = 256});  // a tile
  Case none{.tokens = 257};
  none.options.sinks = 0;
  check(none);
}

TEST(MarginChanges, ThreadsChangeNoBit) {
  const Data data({});
  EXPECT_EQ(data.found(1), data.found(3));
}

TEST(MarginChanges, RefusesScoresOfAnotherDocument) {
  Data data({});
  data.scores.pop_back();
  EXPECT_THROW(data.found(), Error);
}

RiskOptions four() { return {.sinks = 0, .windows = {8, 16}, .shares = {0, 1}}; }

TEST(AnswerRiskSums, CountsLossesOfAnswersAndChangesOfText) {
  AnswerRiskSums sums(four(), 1, 2);
  // [heads][questions][options]; the answers' means are 3, 1, 2, 0 and 1, 0, 0, 0.
  const std::vector<double> changes = {-6, -2, -4, 0, 9, 5, 1, 0, 1,  0.5, -0.5, 0,
                                       -2, 0,  0,  0, 0, 0, 0, 0, -3, 0,   0,    0};
  const std::vector<QuestionKind> kinds = {QuestionKind::kAnswer, QuestionKind::kAnswer, QuestionKind::kPlain};
  sums.add(0, changes, kinds);
  const RiskCurves curves = sums.curves();
  EXPECT_EQ(curves.windows, four().windows);
  EXPECT_EQ(curves.shares, four().shares);
  ASSERT_EQ(curves.heads.size(), 1u);
  ASSERT_EQ(curves.heads[0].size(), 2u);
  // Answers and text both sum to 4 over the heads: 0.3 of 1, 0.5, 0.5, 0 and of 3, 0, 0, 0 is added.
  const std::vector<double> first = {3.3, 1.15, 2.15, 0}, second = {1.9, 0, 0, 0};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(curves.heads[0][0][i], first[i], 1e-12) << i;
    EXPECT_NEAR(curves.heads[0][1][i], second[i], 1e-12) << i;
  }
}

// Windows 8 and 16, each with shares 0 and 1.
TEST(AnswerRiskSums, WhatKeepsLessHasNoLessRisk) {
  AnswerRiskSums sums(four(), 1, 1);
  sums.add(0, std::vector<double>{-2, -3, -4, -1}, std::vector{QuestionKind::kAnswer});
  sums.add(0, std::vector<double>{-2, -3, 4, -1}, std::vector{QuestionKind::kAnswer});
  EXPECT_EQ(sums.curves().heads[0][0], (std::vector<double>{3, 3, 2, 1}));
  // Risk that is only foretold to vanish when nearly everything is dropped is not believed.
  AnswerRiskSums rising(four(), 1, 1);
  rising.add(0, std::vector<double>{1, -3, -2, -2.5}, std::vector{QuestionKind::kAnswer});
  EXPECT_EQ(rising.curves().heads[0][0], (std::vector<double>{3, 3, 2.5, 2.5}));
}

TEST(AnswerRiskSums, WithoutAnswersThereIsNoCurve) {
  AnswerRiskSums sums(four(), 1, 1);
  sums.add(0, std::vector<double>{-2, -3, -4, -1}, std::vector{QuestionKind::kPlain});
  EXPECT_THROW(sums.curves(), Error);
  EXPECT_THROW(sums.add(0, std::vector<double>{1}, std::vector{QuestionKind::kPlain}), Error);
}

TEST(AnswerRiskSums, RefusesOptionsThatDoNotAscend) {
  for (const RiskOptions& options :
       {RiskOptions{.sinks = -1, .windows = {1}, .shares = {0}}, RiskOptions{.windows = {}, .shares = {0}},
        RiskOptions{.windows = {8, 8}, .shares = {0}}, RiskOptions{.windows = {0}, .shares = {0}},
        RiskOptions{.windows = {1}, .shares = {}}, RiskOptions{.windows = {1}, .shares = {0.5, 0.4}},
        RiskOptions{.windows = {1}, .shares = {1.5}}}) {
    EXPECT_THROW(check_risk_options(options), Error);
  }
}

}  // namespace
}  // namespace tca::calibration
