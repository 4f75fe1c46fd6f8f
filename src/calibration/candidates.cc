#include <algorithm>
#include <bit>
#include <cmath>

#include "calibration/calibrate.h"
#include "core/check.h"

namespace tca::calibration {
namespace {

// p_k proportional to exp(-(log2 k - mu)^2 / (2 sigma^2)) for k = 1, 2, 4, ..., block_size.
BlockShares log_gaussian(std::int32_t block_size, double mu, double sigma) {
  BlockShares shares = BlockShares::window(block_size);
  shares.share[0] = 0;
  double sum = 0;
  for (std::size_t i = 1; i < shares.share.size(); ++i) {
    const double distance = (static_cast<double>(i - 1) - mu) / sigma;
    sum += shares.share[i] = std::exp(-0.5 * distance * distance);
  }
  for (double& share : shares.share) share /= sum;
  return shares;
}

}  // namespace

std::vector<BlockShares> candidate_configurations(std::int32_t block_size) {
  std::vector<BlockShares> candidates = {BlockShares::window(block_size), BlockShares::full(block_size)};
  const int log_size = std::bit_width(static_cast<std::uint32_t>(block_size)) - 1;
  for (int half_mu = -2; half_mu <= 2 * log_size; ++half_mu) {
    for (const double sigma : {0.5, 1.0, 2.0}) candidates.push_back(log_gaussian(block_size, 0.5 * half_mu, sigma));
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const BlockShares& a, const BlockShares& b) { return a.kept_share() < b.kept_share(); });
  return candidates;
}

}  // namespace tca::calibration
