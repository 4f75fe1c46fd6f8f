// Probe scores of every backend against the oracle's within a bound; from a backend's own scores on, its choice must be
// the oracle's, bit for bit.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "backend/compare.h"
#include "reference/steps.h"

namespace tca::backend_test {
namespace {

class SelectCases : public testing::TestWithParam<SelectCase> {
 protected:
  SelectCases() : problem_(GetParam().inputs) {}

  std::vector<float> scores_of(const Backend& backend) const {
    const Case& c = GetParam().inputs;
    std::vector<float> scores(static_cast<std::size_t>(c.num_kv_heads * c.tokens), NAN);
    ProbeParams params = problem_.probe(GetParam().rule.pool_width);
    params.probes_follow = GetParam().probes_follow;
    params.reduce = GetParam().reduce;
    backend.probe_scores(params, scores);
    return scores;
  }

  Problem problem_;
};

TEST_P(SelectCases, ScoresMatchTheOracle) {
  const ErrorModel model(problem_);
  const std::vector<float> expected = scores_of(oracle());
  const auto tokens = static_cast<std::ptrdiff_t>(GetParam().inputs.tokens);
  for (const auto& [name, backend] : backends_for(problem_.spec())) {
    const std::vector<float> actual = scores_of(*backend);
    for (std::size_t j = 0; j < expected.size(); ++j) {
      ASSERT_NEAR(actual[j], expected[j], model.probe_score(expected[j])) << name << ", score " << j;
    }
    for (auto row = actual.begin(); row != actual.end(); row += tokens) {
      // Each of the n scores is rounded to fp32, and so were the partial sums they were divided by.
      const double rounding = static_cast<double>(tokens + 4) * 0x1p-24;
      EXPECT_NEAR(std::accumulate(row, row + tokens, 0.0), 1.0, rounding) << name;
    }
  }
}

TEST_P(SelectCases, ChoiceFollowsFromTheScores) {
  const Case& c = GetParam().inputs;
  SelectionRule rule = GetParam().rule;
  const std::vector<BlockShares> shares = make_shares(GetParam().shares, rule.block_size, c.num_kv_heads);
  const std::vector<std::int32_t> windows = make_windows(GetParam());
  SelectParams params = problem_.select(shares, rule);
  params.probes_follow = GetParam().probes_follow;
  params.reduce = GetParam().reduce;
  params.windows = windows;
  for (const auto& [name, backend] : backends_for(problem_.spec())) {
    const KeptSet actual = backend->select(params);
    SelectionRule own = rule;
    if (c.past_tokens > 0) own.sinks = 0;
    const KeptSet expected = reference::kept_from_scores(scores_of(*backend), shares, own, c.tokens, windows);
    EXPECT_EQ(actual.num_tokens(), c.tokens) << name;
    EXPECT_EQ(actual.offsets(), expected.offsets()) << name;
    EXPECT_EQ(actual.positions(), expected.positions()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, SelectCases, testing::ValuesIn(select_cases()), case_name<SelectCase>);

TEST(Selection, NothingForTheSegmentGivesZeroScores) {
  // The past's key outweighs the segment's by e^196: nothing is left for the segment.
  Problem problem({.group = "pastwins", .tokens = 20, .past = PastKind::kDense, .past_tokens = 5});
  problem.let_the_past_win();
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    std::vector<float> scores(20, NAN);
    backend->probe_scores(problem.probe(7), scores);
    EXPECT_EQ(scores, std::vector<float>(20, 0.0f)) << name;
  }
}

TEST(Selection, NaNInputsGiveAValidSet) {
  Problem problem({.group = "nan", .tokens = 100, .queries = 32});
  problem.spoil_key(50);
  for (const BlockOrder order : {BlockOrder::kMassDispersion, BlockOrder::kTokens}) {
    const SelectionRule rule{.block_size = 16, .sinks = 2, .order = order};
    const std::vector<BlockShares> shares = make_shares(Shares::kLogGaussian, rule.block_size, 1);
    for (const auto& [name, backend] : backends_for(problem.spec())) {
      const KeptSet kept = backend->select(problem.select(shares, rule));
      ASSERT_EQ(kept.offsets().size(), 2u) << name;
      EXPECT_EQ(kept.offsets()[1], static_cast<std::int64_t>(kept.positions().size())) << name;
      const std::vector<std::int32_t>& positions = kept.positions();
      for (std::size_t i = 1; i < positions.size(); ++i) EXPECT_LT(positions[i - 1], positions[i]) << name;
      EXPECT_LT(positions.back(), 100) << name;
    }
  }
}

std::vector<std::int32_t> all_tokens_of_two_heads(std::int32_t tokens) {
  std::vector<std::int32_t> all(2 * static_cast<std::size_t>(tokens));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i) % tokens;
  return all;
}

TEST(Selection, AWindowOfTheSegmentOrAShareOfOneKeepsEverything) {
  const Problem problem({.group = "everything", .tokens = 150, .queries = 32, .num_heads = 4, .num_kv_heads = 2});
  const SelectionRule rule{.order = BlockOrder::kTokens};
  const std::vector<BlockShares> none = make_shares(Shares::kWindow, rule.block_size, 2);
  const std::vector<BlockShares> full = make_shares(Shares::kFull, rule.block_size, 2);
  const std::vector<std::int32_t> whole = {150, 1000};
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    SelectParams windows = problem.select(none, rule);
    windows.windows = whole;
    EXPECT_EQ(backend->select(windows).positions(), all_tokens_of_two_heads(150)) << name;
    EXPECT_EQ(backend->select(problem.select(full, rule)).positions(), all_tokens_of_two_heads(150)) << name;
  }
}

TEST(Selection, ProbesThatFollowAreLaterQueriesWhoseKeysNobodySees) {
  constexpr std::int64_t kTokens = 100, kProbes = 9, kAll = kTokens + kProbes;
  Problem problem({.group = "later", .tokens = kAll, .queries = kProbes, .num_heads = 4, .num_kv_heads = 2});
  problem.hide_keys_from(kTokens);
  const ErrorModel model(problem);
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    std::vector<float> within(2 * kAll), following(2 * kTokens);
    ProbeParams params = problem.probe(1);  // a pool would hand scores on to the hidden keys
    backend->probe_scores(params, within);
    params.k = params.k.tokens(0, kTokens);
    params.probes_follow = true;
    backend->probe_scores(params, following);
    for (std::size_t j = 0; j < following.size(); ++j) {
      const double expected = within[j / kTokens * kAll + j % kTokens];
      ASSERT_NEAR(following[j], expected, 2 * model.probe_score(expected)) << name << ", score " << j;
    }
  }
}

}  // namespace
}  // namespace tca::backend_test
