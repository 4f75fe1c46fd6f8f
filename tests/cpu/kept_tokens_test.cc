#include "cpu/kept_tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

namespace tca::cpu {
namespace {

std::vector<float> random_scores(std::size_t count) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform;
  std::vector<float> scores(count);
  for (float& score : scores) score = uniform(random);
  return scores;
}

TEST(KeptTokens, MaxPoolIsTheLargestInReach) {
  for (const std::size_t size : {1u, 2u, 3u, 7u, 8u, 64u, 200u}) {
    const std::vector<float> scores = random_scores(size);
    for (const std::int32_t width : {1, 3, 5, 7, 9, 31, 63, 65, 199, 401, 2147483647}) {
      std::vector<float> pooled = scores;
      max_pool(pooled, width);
      const auto half = static_cast<std::size_t>(width / 2);
      for (std::size_t j = 0; j < size; ++j) {
        const std::size_t first = j < half ? 0 : j - half, last = std::min(size - 1, j + half);
        EXPECT_EQ(pooled[j], *std::max_element(scores.begin() + static_cast<std::ptrdiff_t>(first),
                                               scores.begin() + static_cast<std::ptrdiff_t>(last) + 1))
            << "size " << size << ", width " << width << ", score " << j;
      }
    }
  }
}

TEST(KeptTokens, NormalisesToOneOrToNothing) {
  std::vector<float> scores = random_scores(1000);
  normalise(scores, 64);
  // Every score rounds once, to 2^-24 of itself.
  EXPECT_NEAR(std::accumulate(scores.begin(), scores.end(), 0.0), 1.0, 0x1p-24);
  std::vector<float> faint(10, 1e-32f);
  normalise(faint, 1);
  EXPECT_EQ(faint, std::vector<float>(10, 0.0f));
}

TEST(KeptTokens, TiesGoToTheLowerPosition) {
  const SelectionRule rule{.block_size = 8};
  BlockShares four = BlockShares::window(8);
  four.share = {0, 0, 0, 1, 0};
  const std::vector<float> equal(16, 0.25f);
  EXPECT_EQ(kept_tokens(equal, four, rule, 0), (std::vector<std::int32_t>{0, 1, 2, 3, 8, 9, 10, 11}));
  BlockShares half_full = BlockShares::window(8);
  half_full.share = {0.5, 0, 0, 0, 0.5};
  EXPECT_EQ(kept_tokens(equal, half_full, rule, 1), (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(KeptTokens, SinksAreAddedOnce) {
  const SelectionRule rule{.block_size = 8};
  const std::vector<float> scores = random_scores(20);
  EXPECT_EQ(kept_tokens(scores, BlockShares::window(8), rule, 3), (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_EQ(kept_tokens(scores, BlockShares::window(8), rule, 500).size(), 20u);
  EXPECT_EQ(kept_tokens(scores, BlockShares::full(8), rule, 3).size(), 20u);
}

TEST(KeptTokens, HighestOfAllTokens) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> scores = {nan, 0.2f, 0.5f, 0.2f, 0, 0.2f, 0.7f, 0.2f};
  EXPECT_EQ(highest_tokens(scores, 0.5, 0, 0), (std::vector<std::int32_t>{1, 2, 3, 6}));
  EXPECT_EQ(highest_tokens(scores, 0.5, 1, 2), (std::vector<std::int32_t>{0, 1, 2, 3, 6, 7}));  // 3 of 5
  EXPECT_EQ(highest_tokens(scores, 0.875, 0, 0).front(), 0);                                    // before its equal, 4
  EXPECT_EQ(highest_tokens(scores, 0, 2, 1), (std::vector<std::int32_t>{0, 1, 7}));
  EXPECT_EQ(highest_tokens(scores, 0, 5, 2147483647).size(), 8u);
  EXPECT_EQ(highest_tokens(scores, 1, 0, 0).size(), 8u);
  EXPECT_TRUE(highest_tokens({}, 1, 4, 4).empty());
}

}  // namespace
}  // namespace tca::cpu
