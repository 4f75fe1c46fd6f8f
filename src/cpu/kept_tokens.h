// From the scores of one KV head to its core tokens, bit for bit as include/tca/attention.h defines (SelectParams).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tca/profile.h"

namespace tca::cpu {

/// values[j] = the largest of values in [j - width / 2, j + width / 2], within the ends. No value is negative.
void max_pool(std::span<float> values, std::int32_t width);

/// Divides by the sum; zeros when the sum divided by `count` queries is below 1e-30.
void normalise(std::span<float> values, std::int64_t count);

/// Ascending positions, by blocks. sinks: how many first tokens are added.
std::vector<std::int32_t> kept_tokens(std::span<const float> scores, const BlockShares& shares,
                                      const SelectionRule& rule, std::int32_t sinks);

/// BlockOrder::kTokens: ascending positions of the first `sinks` and the last `window` tokens, and of the highest
/// scores of the others.
std::vector<std::int32_t> highest_tokens(std::span<const float> scores, double kept_share, std::int32_t sinks,
                                         std::int32_t window);

}  // namespace tca::cpu
