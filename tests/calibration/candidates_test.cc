#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "calibration/calibrate.h"
#include "tca/error.h"

namespace tca::calibration {
namespace {

class Candidates : public testing::TestWithParam<std::int32_t> {};

TEST_P(Candidates, AreDistributionsAscendingFromWindowToFull) {
  const auto candidates = candidate_configurations(GetParam());
  // (mu, sigma) on a grid of 2 (log2 b + 1) + 1 by 3, and the two ends.
  const auto log_size = static_cast<std::size_t>(std::log2(GetParam()));
  EXPECT_EQ(candidates.size(), (2 * (log_size + 1) + 1) * 3 + 2);
  EXPECT_TRUE(candidates.front().is_window());
  EXPECT_TRUE(candidates.back().is_full());
  double before = -1;
  for (const BlockShares& candidate : candidates) {
    ASSERT_EQ(candidate.share.size(), log_size + 2);
    EXPECT_NEAR(std::accumulate(candidate.share.begin(), candidate.share.end(), 0.0), 1.0, 1e-12);
    for (const double share : candidate.share) EXPECT_GE(share, 0.0);
    EXPECT_GE(candidate.kept_share(), before);
    before = candidate.kept_share();
  }
}

TEST_P(Candidates, OnlyTheWindowKeepsNothingOfABlock) {
  const auto candidates = candidate_configurations(GetParam());
  for (std::size_t i = 1; i < candidates.size(); ++i) {
    EXPECT_EQ(candidates[i].share[0], 0.0);
    EXPECT_GE(candidates[i].kept_share(), 1.0 / GetParam() - 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(BlockSizes, Candidates, testing::Values(8, 16, 64, 256));

TEST(Candidates, AreLogGaussian) {
  // mu = 1, sigma = 1 over log2 k = 0, 1, 2, 3: weights e^-1/2, 1, e^-1/2, e^-2.
  const double e = std::exp(-0.5), sum = 1 + 2 * e + std::exp(-2.0);
  const std::vector<double> expected = {0, e / sum, 1 / sum, e / sum, std::exp(-2.0) / sum};
  int found = 0;
  for (const BlockShares& candidate : candidate_configurations(8)) {
    double distance = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) distance += std::abs(candidate.share[i] - expected[i]);
    found += distance < 1e-12 ? 1 : 0;
  }
  EXPECT_EQ(found, 1);
}

TEST(Candidates, ABadBlockSizeIsRefused) { EXPECT_THROW(candidate_configurations(48), Error); }

}  // namespace
}  // namespace tca::calibration
