// Decode attention and tail scores of every backend and CPU target against the oracle, over the whole table.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "backend/compare.h"
#include "reference/steps.h"

namespace tca::backend_test {
namespace {

class DecodeCases : public testing::TestWithParam<Case> {
 protected:
  DecodeCases() : problem_(GetParam()), model_(problem_), expected_(problem_.oracle_output()) {
    problem_.store_segment();
    const DecodeParams params = problem_.decode(expected_);
    oracle().decode_attention({&params, 1});
  }

  Problem problem_;
  ErrorModel model_;  // made before the segment is stored: it counts past and segment
  Output expected_;
};

TEST_P(DecodeCases, MatchTheOracle) {
  for (const auto& [name, backend] : backends_for(problem_.spec())) {
    Output actual = problem_.output();
    const DecodeParams params = problem_.decode(actual);
    backend->decode_attention({&params, 1});
    EXPECT_TRUE(matches(actual, expected_, model_)) << name;
  }
}

TEST_P(DecodeCases, TailScoresMatchTheOracle) {
  const Case& c = problem_.spec();
  for (std::int32_t head = 0; head < c.num_kv_heads; ++head) {
    const KvCache& cache = *problem_.cache();
    const std::int64_t tail = cache.length(Problem::kLayer, head) - cache.tail_begin(Problem::kLayer, head);
    std::vector<float> expected(static_cast<std::size_t>(std::min<std::int64_t>(tail, 64)));
    TailScoreParams params{.q = problem_.q(),
                           .lse = expected_.lse,
                           .cache = &cache,
                           .layer = Problem::kLayer,
                           .kv_head = head,
                           .count = static_cast<std::int64_t>(expected.size()),
                           .scale = c.scale,
                           .out = expected};
    oracle().tail_scores({&params, 1});
    for (const auto& [name, backend] : backends_for(problem_.spec())) {
      std::vector<float> actual(expected.size(), NAN);
      params.out = actual;
      backend->tail_scores({&params, 1});
      for (std::size_t t = 0; t < actual.size(); ++t) {
        EXPECT_NEAR(actual[t], expected[t], model_.tail_score(expected[t])) << name << ", head " << head << ", " << t;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, DecodeCases, testing::ValuesIn(decode_cases()), case_name<Case>);

TEST(Decode, HeadThatHoldsNothingGivesZero) {
  const Case c{.group = "nothing", .tokens = 2, .num_heads = 4, .num_kv_heads = 2};
  Problem problem(c);
  problem.store_segment();
  problem.thin_head(1, {});
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    Output actual = problem.output();
    const DecodeParams params = problem.decode(actual);
    backend->decode_attention({&params, 1});
    for (std::int32_t head = 0; head < 4; ++head) {
      EXPECT_EQ(std::isfinite(actual.lse[static_cast<std::size_t>(head)]), head < 2) << name;
      EXPECT_EQ(actual.out.at(0, head, 5) == 0, head >= 2) << name;
    }
    EXPECT_EQ(actual.lse[3], -std::numeric_limits<float>::infinity()) << name;
  }
}

TEST(Decode, AQueryBeforeAllHeldTokensGivesZero) {
  // Two tokens, the first dropped: the first query's position lies before the only token held.
  Problem problem({.group = "before", .tokens = 2});
  problem.store_segment();
  problem.thin_head(0, {{1}});
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    Output actual = problem.output();
    const DecodeParams params = problem.decode(actual);
    backend->decode_attention({&params, 1});
    EXPECT_EQ(actual.out.at(0, 0, 0), 0) << name;
    EXPECT_EQ(actual.lse[0], -std::numeric_limits<float>::infinity()) << name;
    EXPECT_NEAR(actual.out.at(1, 0, 0), reference::to_double(problem.v()).row(1, 0)[0], 1e-6) << name;
  }
}

}  // namespace
}  // namespace tca::backend_test
