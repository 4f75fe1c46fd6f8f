// The numerical core every kernel shares: the softmax state of one query over a part of its keys, how parts merge, and
// what a query that sees nothing gets.
//   max = largest raw score q.k (before the scale) that the exponentials are taken against
//   sum = sum over the part's keys of exp((score - max) * scale)
//   out = sum over the part's keys of exp((score - max) * scale) * v
// Kernels may leave max a little below the largest score (see TileKernels::softmax): only the exponent range suffers.
#pragma once

#include <cmath>
#include <limits>

namespace tca::cpu {

inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

/// Factor on a part's sum and out under the maximum of all parts. A part without visible keys (max = -infinity) weighs
/// nothing, also when all parts are such.
inline float part_weight(float part_max, float common_max, float scale) {
  return part_max == kNegativeInfinity ? 0.0f : std::exp((part_max - common_max) * scale);
}

/// Factor that turns out into attention: 0 for a query that sees no key.
inline float normaliser(float sum) { return sum == 0.0f ? 0.0f : 1.0f / sum; }

/// Natural log of the softmax denominator: -infinity for a query that sees no key.
inline float log_sum_exp(float max, float sum, float scale) {
  return sum == 0.0f ? kNegativeInfinity : max * scale + std::log(sum);
}

}  // namespace tca::cpu
