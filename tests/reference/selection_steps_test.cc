// Selection of the oracle, step by step, against numbers worked out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "reference/steps.h"

namespace tca::reference {
namespace {

constexpr double kTiny = 1e-14;
const float kNaN = std::numeric_limits<float>::quiet_NaN();

// Two probes at the last two of four keys, two query heads of one KV head. Head 0 sees weights 1, 2, 3, 4, head 1 sees
// 4, 3, 2, 1; the first probe does not see the last key.
Tensor two_probes() { return {2, 2, 2, {1, 0, 0, 1, 1, 0, 0, 1}}; }

HeadTokens keys_with_weights(const std::vector<std::pair<double, double>>& weights) {
  HeadTokens tokens;
  for (const auto& [first, second] : weights) {
    tokens.positions.push_back(static_cast<std::int32_t>(tokens.size()));
    tokens.k.push_back({std::log(first), std::log(second)});
  }
  return tokens;
}

TEST(ProbeMass, MeanOverProbesAndHeads) {
  const HeadTokens tokens = keys_with_weights({{1, 4}, {2, 3}, {3, 2}, {4, 1}});
  const std::vector<double> mass = probe_mass(two_probes(), tokens, 0, 1, 4, 1.0);
  // Probe 0: (1,2,3)/6 and (4,3,2)/9. Probe 1: (1,2,3,4)/10 and (4,3,2,1)/10. A quarter of their sums:
  // (1/6 + 4/9 + 1/10 + 4/10) / 4 = 20/72, then 21/72, 22/72, 9/72.
  ASSERT_EQ(mass.size(), 4u);
  EXPECT_NEAR(mass[0], 20.0 / 72, kTiny);
  EXPECT_NEAR(mass[1], 21.0 / 72, kTiny);
  EXPECT_NEAR(mass[2], 22.0 / 72, kTiny);
  EXPECT_NEAR(mass[3], 9.0 / 72, kTiny);
}

TEST(ProbeMass, ThePastTakesItsShare) {
  // The first two keys are past. Probe 0 sees (1,2,3)/6 and (4,3,2)/9, probe 1 all; what is left for the segment:
  // (3/6 + 2/9 + 3/10 + 2/10) / 4 = 22/72 and (4/10 + 1/10) / 4 = 9/72.
  const HeadTokens tokens = keys_with_weights({{1, 4}, {2, 3}, {3, 2}, {4, 1}});
  const std::vector<double> mass = probe_mass(two_probes(), tokens, 0, 1, 2, 1.0);
  ASSERT_EQ(mass.size(), 2u);
  EXPECT_NEAR(mass[0], 22.0 / 72, kTiny);
  EXPECT_NEAR(mass[1], 9.0 / 72, kTiny);
  const std::vector<double> normalised = normalise(mass);
  EXPECT_NEAR(normalised[0], 22.0 / 31, kTiny);
  EXPECT_NEAR(normalised[1], 9.0 / 31, kTiny);
}

TEST(ProbeMass, ProbesThatFollowSeeEverything) {
  // Both probes: (1,2,3,4)/10 and (4,3,2,1)/10, a half of each key together.
  const HeadTokens tokens = keys_with_weights({{1, 4}, {2, 3}, {3, 2}, {4, 1}});
  for (const double mass : probe_mass(two_probes(), tokens, 0, 1, 4, 1.0, true)) EXPECT_NEAR(mass, 0.25, kTiny);
  // With two keys of the past the segment's other two get what they got before.
  const std::vector<double> rest = probe_mass(two_probes(), tokens, 0, 1, 2, 1.0, true);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_NEAR(rest[0], 0.25, kTiny);
  EXPECT_NEAR(rest[1], 0.25, kTiny);
  // Two probes of a segment of one token.
  const std::vector<double> one = probe_mass(two_probes(), keys_with_weights({{1, 4}}), 0, 1, 1, 1.0, true);
  EXPECT_NEAR(one.at(0), 1, kTiny);
}

TEST(ProbeMass, EachGroupOfQueryHeadsHasItsOwnKvHead) {
  // Two KV heads, one query head each: head 1 alone sees (4,3,2)/9 and (4,3,2,1)/10.
  const HeadTokens tokens = keys_with_weights({{1, 4}, {2, 3}, {3, 2}, {4, 1}});
  const std::vector<double> mass = probe_mass(two_probes(), tokens, 1, 2, 4, 1.0);
  EXPECT_NEAR(mass[0], (4.0 / 9 + 0.4) / 2, kTiny);
  EXPECT_NEAR(mass[3], 0.05, kTiny);
}

TEST(MaxPool, WindowIsCentredAndEndsAtTheEdges) {
  const std::vector<double> values = {1, 5, 2, 0, 0, 3};
  EXPECT_EQ(max_pool(values, 1), values);
  EXPECT_EQ(max_pool(values, 3), (std::vector<double>{5, 5, 5, 2, 3, 3}));
  EXPECT_EQ(max_pool(values, 5), (std::vector<double>{5, 5, 5, 5, 3, 3}));
  EXPECT_EQ(max_pool(values, 99), (std::vector<double>{5, 5, 5, 5, 5, 5}));
  EXPECT_TRUE(max_pool({}, 3).empty());
}

TEST(Normalise, ZeroWhenTheProbesLookElsewhere) {
  EXPECT_EQ(normalise(std::vector<double>{1, 3}), (std::vector<double>{0.25, 0.75}));
  EXPECT_EQ(normalise(std::vector<double>{1e-31, 2e-31}), (std::vector<double>{0, 0}));
  EXPECT_TRUE(normalise({}).empty());
}

TEST(BlockStatistics, EightTokensInOneBlock) {
  // M = 1, sum s^2 = 1/4 + 1/16 + 2/64 = 22/64.
  const std::vector<float> peaked = {0.5f, 0.25f, 0.125f, 0.125f, 0, 0, 0, 0};
  const auto one = block_statistics(peaked, 8);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].mass, 1);
  EXPECT_EQ(one[0].concentration, 22.0 / 64);
}

TEST(BlockStatistics, ConcentrationIsBetweenOneOverSizeAndOne) {
  // Four blocks of four: flat, one token only, empty, and a last one of two equal tokens.
  const std::vector<float> scores = {0.25f, 0.25f, 0.25f, 0.25f, 0, 0.5f, 0, 0, 0, 0, 0, 0, 2, 2};
  const auto blocks = block_statistics(scores, 4);
  ASSERT_EQ(blocks.size(), 4u);
  EXPECT_EQ(blocks[0].mass, 1);
  EXPECT_EQ(blocks[0].concentration, 0.25);
  EXPECT_EQ(blocks[1].mass, 0.5);
  EXPECT_EQ(blocks[1].concentration, 1);
  EXPECT_EQ(blocks[2].mass, 0);
  EXPECT_EQ(blocks[2].concentration, 1);
  EXPECT_EQ(blocks[3].mass, 4);
  EXPECT_EQ(blocks[3].concentration, 0.5);
}

TEST(BlockStatistics, NaNCountsAsZero) {
  const auto blocks = block_statistics(std::vector<float>{kNaN, 0.5f, kNaN, kNaN, kNaN, kNaN}, 4);
  EXPECT_EQ(blocks[0].mass, 0.5);
  EXPECT_EQ(blocks[0].concentration, 1);
  EXPECT_EQ(blocks[1].mass, 0);
}

TEST(BlockOrder, MassDispersionWeighsMassByEffectiveTokens) {
  // M / C: 0.5 / 0.125 = 4, 0.4 / 0.5 = 0.8, 0.1 / 0.1 = 1, empty 0.
  const std::vector<BlockStatistics> blocks = {{0.5, 0.125}, {0.4, 0.5}, {0.1, 0.1}, {0, 1}};
  EXPECT_EQ(block_order(blocks, BlockOrder::kMassDispersion), (std::vector<std::int32_t>{0, 2, 1, 3}));
  EXPECT_EQ(block_order(blocks, BlockOrder::kSimpson), (std::vector<std::int32_t>{2, 0, 1, 3}));
}

TEST(BlockOrder, TiesGoToTheLowerBlock) {
  const std::vector<BlockStatistics> blocks = {{0, 1}, {0.5, 0.25}, {0, 1}, {0.5, 0.25}, {1, 0.5}};  // M / C: 0 2 0 2 2
  EXPECT_EQ(block_order(blocks, BlockOrder::kMassDispersion), (std::vector<std::int32_t>{1, 3, 4, 0, 2}));
  EXPECT_EQ(block_order(blocks, BlockOrder::kSimpson), (std::vector<std::int32_t>{1, 3, 4, 0, 2}));
}

TEST(Allocate, BoundariesRoundHalfUp) {
  // Blocks of 8: a quarter each keeps none, 1, 4 and 8 tokens, none keeps 2.
  const BlockShares shares{{0.25, 0.25, 0, 0.25, 0.25}};
  EXPECT_EQ(allocate(shares, 4), (std::vector<std::int32_t>{8, 4, 1, 0}));
  // floor(1.25 + .5) = 1, floor(2.5 + .5) = 3, floor(3.75 + .5) = 4
  EXPECT_EQ(allocate(shares, 5), (std::vector<std::int32_t>{8, 4, 4, 1, 0}));
  // floor(.5 + .5) = 1, floor(1 + .5) = 1, floor(1.5 + .5) = 2
  EXPECT_EQ(allocate(shares, 2), (std::vector<std::int32_t>{8, 1}));
  // floor(.25 + .5) = 0, floor(.5 + .5) = 1
  EXPECT_EQ(allocate(shares, 1), (std::vector<std::int32_t>{4}));
  EXPECT_TRUE(allocate(shares, 0).empty());
}

TEST(Allocate, FullAndWindow) {
  EXPECT_EQ(allocate({{0, 0, 0, 0, 1}}, 3), (std::vector<std::int32_t>{8, 8, 8}));
  EXPECT_EQ(allocate({{1, 0, 0, 0, 0}}, 3), (std::vector<std::int32_t>{0, 0, 0}));
}

TEST(Allocate, SharesASliverAboveOneStayWithinTheBlocks) {
  const std::vector<std::int32_t> counts = allocate({{0, 0, 0, 0.5, 0.5000009}}, 1000001);
  EXPECT_EQ(counts.size(), 1000001u);
  EXPECT_EQ(counts.back(), 4);
}

TEST(ChooseInBlock, HighestScoresTiesToTheLowerPosition) {
  const std::vector<float> scores = {0.1f, 0.3f, 0.3f, 0.2f, 0.3f};
  EXPECT_TRUE(choose_in_block(scores, 0).empty());
  EXPECT_EQ(choose_in_block(scores, 2), (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(choose_in_block(scores, 4), (std::vector<std::int32_t>{1, 2, 3, 4}));
  EXPECT_EQ(choose_in_block(scores, 8), (std::vector<std::int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(choose_in_block(std::vector<float>{kNaN, 0, 0.5f}, 2), (std::vector<std::int32_t>{0, 2}));
}

// Twenty tokens in blocks of 8, 8 and 4. Block 1 is flat and heavy (M / C = 0.8 * 8), block 2 has two tokens
// (0.15 / (5 / 9), 0.1 and 0.05: sum s^2 = 0.0125, M^2 = 0.0225), block 0 one token (0.05).
const std::vector<float> kScores = {0,    0.05f, 0,    0,    0,    0,    0,     0,    0.1f, 0.1f,
                                    0.1f, 0.1f,  0.1f, 0.1f, 0.1f, 0.1f, 0.05f, 0.1f, 0,    0};

TEST(KeptFromScores, RichestBlocksKeepMost) {
  SelectionRule rule{.block_size = 8, .sinks = 0};
  // Thirds: 4, 2 and 1 tokens. Block 1 keeps 4 (all tied: the first four), block 2 keeps 2, block 0 keeps 1.
  const BlockShares thirds{{0, 1.0 / 3, 1.0 / 3, 1.0 / 3, 0}};
  KeptSet kept = kept_from_scores(kScores, std::vector{thirds}, rule, 20);
  EXPECT_EQ(kept.num_tokens(), 20);
  EXPECT_EQ(kept.offsets(), (std::vector<std::int64_t>{0, 7}));
  EXPECT_EQ(kept.positions(), (std::vector<std::int32_t>{1, 8, 9, 10, 11, 16, 17}));
  // Simpson: C = 1/8, 5/9, 1: the same order here. Sinks join, none twice.
  rule.order = BlockOrder::kSimpson;
  rule.sinks = 2;
  kept = kept_from_scores(kScores, std::vector{thirds}, rule, 20);
  EXPECT_EQ(kept.positions(), (std::vector<std::int32_t>{0, 1, 8, 9, 10, 11, 16, 17}));
}

TEST(KeptFromScores, HeadsAreRagged) {
  std::vector<float> scores = kScores;
  for (int head = 1; head < 3; ++head) scores.insert(scores.end(), kScores.begin(), kScores.end());
  const std::vector<BlockShares> shares = {{{1, 0, 0, 0, 0}}, {{0, 0, 0, 0, 1}}, {{2.0 / 3, 0, 0, 0, 1.0 / 3}}};
  const KeptSet kept = kept_from_scores(scores, shares, {.block_size = 8, .sinks = 3}, 20);
  EXPECT_EQ(kept.offsets(), (std::vector<std::int64_t>{0, 3, 23, 34}));
  const auto window_only = kept.head(0), last = kept.head(2);
  EXPECT_EQ(std::vector(window_only.begin(), window_only.end()), (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_EQ(std::vector(last.begin(), last.end()), (std::vector<std::int32_t>{0, 1, 2, 8, 9, 10, 11, 12, 13, 14, 15}));
}

TEST(KeptFromScores, TheLastBlockKeepsNoMoreThanItHas) {
  std::vector<float> scores(10, 0.0f);
  scores[8] = scores[9] = 1;  // block 1 has two tokens and comes first
  const KeptSet kept =
      kept_from_scores(scores, std::vector{BlockShares{{0.5, 0, 0, 0, 0.5}}}, {.block_size = 8, .sinks = 0}, 10);
  EXPECT_EQ(kept.positions(), (std::vector<std::int32_t>{8, 9}));
}

TEST(KeptFromScores, NoTokensNoPositions) {
  const KeptSet kept = kept_from_scores({}, std::vector{BlockShares{{0, 0, 0, 0, 1}}}, {.block_size = 8}, 0);
  EXPECT_EQ(kept.offsets(), (std::vector<std::int64_t>{0, 0}));
  EXPECT_TRUE(kept.positions().empty());
}

TEST(ChooseTokens, HighestScoresOfTheWholeSegment) {
  const std::vector<float> scores = {0.1f, 0.3f, 0.3f, 0.2f, 0.3f, 0.1f, 0.4f, 0.2f};
  EXPECT_TRUE(choose_tokens(scores, 0, 0, 0).empty());
  // A quarter of 8 is 2; the second is the first of three equals.
  EXPECT_EQ(choose_tokens(scores, 0.25, 0, 0), (std::vector<std::int32_t>{1, 6}));
  // floor(0.31 * 8 + 0.5) = 2, floor(0.3125 * 8 + 0.5) = 3: halves are rounded up.
  EXPECT_EQ(choose_tokens(scores, 0.31, 0, 0).size(), 2u);
  EXPECT_EQ(choose_tokens(scores, 0.3125, 0, 0), (std::vector<std::int32_t>{1, 2, 6}));
  EXPECT_EQ(choose_tokens(scores, 1, 0, 0), (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(choose_tokens(scores, 1.000001, 0, 0).size(), 8u);
  EXPECT_EQ(choose_tokens(std::vector<float>{kNaN, 0, 0.5f, kNaN}, 0.5, 0, 0), (std::vector<std::int32_t>{0, 2}));
  EXPECT_TRUE(choose_tokens({}, 1, 3, 3).empty());
}

TEST(ChooseTokens, SinksAndWindowStayAndDoNotCompete) {
  const std::vector<float> scores = {0.9f, 0.1f, 0.2f, 0.1f, 0.3f, 0.1f, 0.8f, 0.7f};
  // Two sinks, a window of two: half of the four others.
  EXPECT_EQ(choose_tokens(scores, 0.5, 2, 2), (std::vector<std::int32_t>{0, 1, 2, 4, 6, 7}));
  EXPECT_EQ(choose_tokens(scores, 0, 2, 1), (std::vector<std::int32_t>{0, 1, 7}));
  EXPECT_EQ(choose_tokens(scores, 0, 0, 8).size(), 8u);
  EXPECT_EQ(choose_tokens(scores, 0, 5, 5).size(), 8u);  // they overlap
  EXPECT_EQ(choose_tokens(scores, 0.5, 100, 0).size(), 8u);
}

TEST(KeptFromScores, TokensByHeadWithWindows) {
  // Head 0: half of 16 tokens, the first eight of nine equal ones. Head 1: sinks and window alone.
  std::vector<float> scores = kScores;
  scores.insert(scores.end(), kScores.begin(), kScores.end());
  const std::vector<BlockShares> shares = {{{0.5, 0, 0, 0, 0.5}}, {{1, 0, 0, 0, 0}}};
  const SelectionRule rule{.block_size = 8, .sinks = 2, .order = BlockOrder::kTokens};
  const std::vector<std::int32_t> windows = {2, 3};
  KeptSet kept = kept_from_scores(scores, shares, rule, 20, windows);
  EXPECT_EQ(kept.offsets(), (std::vector<std::int64_t>{0, 12, 17}));
  EXPECT_EQ(kept.positions(),
            (std::vector<std::int32_t>{0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 18, 19, 0, 1, 17, 18, 19}));
  kept = kept_from_scores(scores, shares, rule, 20);
  // Half of 18: the nine of 0.1.
  EXPECT_EQ(kept.positions(), (std::vector<std::int32_t>{0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 17, 0, 1}));
}

TEST(TailScores, ProbabilityAveragedOverQueriesAndHeads) {
  // One key of weight (2, 3). Head 0 of both queries has denominator 4, head 1 has 6: (2/4 + 3/6 + 2/4 + 3/6) / 4.
  const std::vector<std::vector<double>> keys = {{std::log(2), std::log(3)}};
  const std::vector<float> lse = {std::log(4.0f), std::log(6.0f), std::log(4.0f), std::log(6.0f)};
  const std::vector<double> scores = tail_scores(two_probes(), lse, keys, 0, 1, 1.0);
  ASSERT_EQ(scores.size(), 1u);
  EXPECT_NEAR(scores[0], 0.5, 1e-7);  // lse is fp32
}

}  // namespace
}  // namespace tca::reference
