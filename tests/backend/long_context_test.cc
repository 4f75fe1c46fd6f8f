// Long contexts: the oracle computes a few rows, the backend all of them (or as many as its slowest target can afford).
#include <gtest/gtest.h>

#include <cmath>

#include "backend/compare.h"
#include "reference/steps.h"

namespace tca::backend_test {
namespace {

/// Rows of an output against the oracle's steps, one by one.
void check_rows(const Problem& problem, const Output& actual, std::int64_t step, const std::string& name) {
  const Case& c = problem.spec();
  const ErrorModel model(problem);
  const reference::Tensor q = reference::to_double(problem.q());
  const reference::Tensor k = reference::to_double(problem.k()), v = reference::to_double(problem.v());
  const double scale = reference::resolve_scale(c.scale, c.head_dim);
  const std::int32_t group = c.num_heads / c.num_kv_heads;
  for (std::int32_t head = 0; head < c.num_heads; ++head) {
    const reference::HeadTokens tokens = reference::past_and_segment({}, k, &v, head / group);
    for (std::int64_t r = c.num_queries() - 1; r >= 0; r -= step) {
      const std::int64_t i = c.tokens - c.num_queries() + r;
      const auto visible = reference::visible_tokens(i, c.tokens, 0, problem.kept(), head / group, c.window, c.sinks);
      const reference::AttentionRow row = reference::attend(q.row(r, head), tokens, visible, scale);
      for (std::int32_t e = 0; e < c.head_dim; ++e) {
        ASSERT_NEAR(actual.out.at(r, head, e), row.out[e], model.output(row.out[e])) << name << ", row " << i;
      }
      ASSERT_NEAR(actual.lse[static_cast<std::size_t>(r * c.num_heads + head)], row.lse, model.lse(row.lse)) << name;
    }
  }
}

TEST(LongContext, SparsePrefillOfEightThousand) {
  const Problem problem({.group = "long",
                         .tokens = 8192 + 7,
                         .num_heads = 4,
                         .num_kv_heads = 2,
                         .dtype = DType::kBF16,
                         .out_dtype = DType::kBF16,
                         .kept = Kept::kMixed,
                         .window = 256});
  const std::vector<BackendOfCase> backends = backends_for(problem.spec());
  for (std::size_t b = 0; b < backends.size(); ++b) {
    // Those that are chosen by default and the last target: the others get fewer rows below.
    if (backends[b].name.starts_with("cpu ") && b + 1 < backends.size()) continue;
    Output actual = problem.output();
    const PrefillParams params = problem.prefill(actual);
    backends[b].backend->prefill_attention({&params, 1});
    check_rows(problem, actual, 499, backends[b].name);
  }
}

TEST(LongContext, LastQueriesOfThirtyTwoThousand) {
  for (const Kept kept : {Kept::kDense, Kept::kRagged}) {
    const Problem problem(
        {.group = "long", .tokens = 32768 + 7, .queries = 35, .dtype = DType::kBF16, .kept = kept, .window = 256});
    for (const auto& [name, backend] : backends_for(problem.spec())) {
      Output actual = problem.output();
      const PrefillParams params = problem.prefill(actual);
      backend->prefill_attention({&params, 1});
      check_rows(problem, actual, 17, name);
    }
  }
}

TEST(LongContext, DecodeOverOneHundredTwentyEightThousand) {
  Problem problem(
      {.group = "long", .tokens = 1, .past = PastKind::kDense, .past_tokens = 131072 + 6, .dtype = DType::kBF16});
  const ErrorModel model(problem);
  problem.store_segment();
  Output expected = problem.oracle_output();
  const DecodeParams oracle_params = problem.decode(expected);
  oracle().decode_attention({&oracle_params, 1});
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    Output actual = problem.output();
    const DecodeParams params = problem.decode(actual);
    backend->decode_attention({&params, 1});
    EXPECT_TRUE(matches(actual, expected, model)) << name;
  }
}

TEST(LongContext, SelectionOfThirtyTwoThousand) {
  const Problem problem({.group = "long",
                         .tokens = 32768 + 7,
                         .queries = 32,
                         .num_heads = 4,
                         .num_kv_heads = 2,
                         .dtype = DType::kBF16,
                         .values = Values::kPeaked});
  const ErrorModel model(problem);
  const SelectionRule rule;
  const std::vector<BlockShares> shares = make_shares(Shares::kLogGaussian, rule.block_size, 2);
  std::vector<float> expected(2 * (32768 + 7)), actual(expected.size());
  oracle().probe_scores(problem.probe(rule.pool_width), expected);
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    backend->probe_scores(problem.probe(rule.pool_width), actual);
    for (std::size_t j = 0; j < expected.size(); ++j) {
      ASSERT_NEAR(actual[j], expected[j], model.probe_score(expected[j])) << name << ", score " << j;
    }
    EXPECT_EQ(backend->select(problem.select(shares, rule)),
              reference::kept_from_scores(actual, shares, rule, 32768 + 7))
        << name;
  }
}

}  // namespace
}  // namespace tca::backend_test
