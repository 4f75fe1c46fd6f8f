#include "cpu/kept_tokens.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace tca::cpu {
namespace {

float score_or_zero(float score) { return std::isnan(score) ? 0.0f : score; }

/// What blocks are ordered by, richer blocks lower.
double order_key(std::span<const float> block, BlockOrder order) {
  double mass = 0, squares = 0;
  for (const float score : block) {
    const double s = score_or_zero(score);
    mass += s;
    squares += s * s;
  }
  const double concentration = mass == 0 ? 1.0 : squares / (mass * mass);
  return order == BlockOrder::kSimpson ? concentration : -(mass / concentration);
}

/// Tokens that the block of each rank keeps.
std::vector<std::int32_t> allocate(const BlockShares& shares, std::size_t num_blocks) {
  std::vector<std::int32_t> tokens(num_blocks, 0);
  double cumulative = 0;
  std::size_t begin = 0;
  for (std::size_t i = shares.share.size() - 1; i >= 1; --i) {  // share[i] of the blocks keep 2^(i - 1)
    cumulative += shares.share[i];
    const double boundary = std::floor(cumulative * static_cast<double>(num_blocks) + 0.5);
    const std::size_t end = std::min(num_blocks, static_cast<std::size_t>(boundary));
    for (; begin < end; ++begin) tokens[begin] = std::int32_t{1} << (i - 1);
  }
  return tokens;
}

/// Marks the `count` highest scores of a block; ties to the lower position.
void choose(std::span<const float> block, std::int32_t count, std::uint8_t* chosen) {
  const auto size = static_cast<std::int32_t>(block.size());
  if (count >= size) {
    std::fill_n(chosen, size, std::uint8_t{1});
    return;
  }
  if (count == 0) return;
  constexpr std::size_t kMaxBlock = 256;
  std::int32_t order[kMaxBlock];
  std::iota(order, order + size, 0);
  std::nth_element(order, order + count - 1, order + size, [&](std::int32_t a, std::int32_t b) {
    const float x = score_or_zero(block[static_cast<std::size_t>(a)]);
    const float y = score_or_zero(block[static_cast<std::size_t>(b)]);
    return x != y ? x > y : a < b;
  });
  for (std::int32_t i = 0; i < count; ++i) chosen[order[i]] = 1;
}

}  // namespace

void max_pool(std::span<float> values, std::int32_t width) {
  const std::size_t size = values.size();
  const std::size_t half = std::min(static_cast<std::size_t>(width / 2), size);
  const std::size_t window = 2 * half + 1;
  std::vector<float> running(size + 2 * half, 0.0f);  // running[j + half] = values[j]
  std::copy(values.begin(), values.end(), running.begin() + static_cast<std::ptrdiff_t>(half));
  // running[j] becomes the maximum of `covered` values from j on; two such cover the window.
  std::size_t covered = 1;
  for (; 2 * covered <= window; covered *= 2) {
    for (std::size_t j = 0; j + covered < running.size(); ++j) running[j] = std::max(running[j], running[j + covered]);
  }
  const std::size_t second = window - covered;
  for (std::size_t j = 0; j < size; ++j) values[j] = std::max(running[j], running[j + second]);
}

void normalise(std::span<float> values, std::int64_t count) {
  constexpr double kMinMass = 1e-30;
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  const double factor = sum / static_cast<double>(count) < kMinMass ? 0.0 : 1.0 / sum;
  for (float& value : values) value = static_cast<float>(value * factor);
}

std::vector<std::int32_t> kept_tokens(std::span<const float> scores, const BlockShares& shares,
                                      const SelectionRule& rule, std::int32_t sinks) {
  const auto block_size = static_cast<std::size_t>(rule.block_size);
  const std::size_t num_blocks = (scores.size() + block_size - 1) / block_size;
  const auto block = [&](std::size_t t) {
    return scores.subspan(t * block_size, std::min(block_size, scores.size() - t * block_size));
  };
  std::vector<double> keys(num_blocks);
  for (std::size_t t = 0; t < num_blocks; ++t) keys[t] = order_key(block(t), rule.order);
  std::vector<std::size_t> order(num_blocks);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });

  std::vector<std::uint8_t> chosen(scores.size(), 0);
  std::fill_n(chosen.begin(), std::min(scores.size(), static_cast<std::size_t>(sinks)), std::uint8_t{1});
  const std::vector<std::int32_t> counts = allocate(shares, num_blocks);
  for (std::size_t rank = 0; rank < num_blocks; ++rank) {
    choose(block(order[rank]), counts[rank], chosen.data() + order[rank] * block_size);
  }
  std::vector<std::int32_t> positions;
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    if (chosen[j] != 0) positions.push_back(static_cast<std::int32_t>(j));
  }
  return positions;
}

std::vector<std::int32_t> highest_tokens(std::span<const float> scores, double kept_share, std::int32_t sinks,
                                         std::int32_t window) {
  const std::size_t begin = std::min(scores.size(), static_cast<std::size_t>(sinks));
  const std::size_t end = std::max(begin, scores.size() - std::min(scores.size(), static_cast<std::size_t>(window)));
  const auto size = static_cast<double>(end - begin);
  auto left = static_cast<std::size_t>(std::min(size, std::floor(kept_share * size + 0.5)));
  std::vector<float> ranked(end - begin);
  std::transform(scores.begin() + static_cast<std::ptrdiff_t>(begin), scores.begin() + static_cast<std::ptrdiff_t>(end),
                 ranked.begin(), score_or_zero);
  // Everything above the lowest score that stays, and of its equals as many as are left.
  float lowest = std::numeric_limits<float>::infinity();
  if (left > 0) {
    const auto last = ranked.begin() + static_cast<std::ptrdiff_t>(left - 1);
    std::nth_element(ranked.begin(), last, ranked.end(), std::greater<>());
    lowest = *last;
    left -= static_cast<std::size_t>(std::count_if(ranked.begin(), last, [&](float s) { return s > lowest; }));
  }
  std::vector<std::int32_t> positions;
  for (std::size_t j = 0; j < scores.size(); ++j) {
    const float score = score_or_zero(scores[j]);
    bool kept = j < begin || j >= end || score > lowest;
    if (!kept && score == lowest && left > 0) {
      kept = true;
      --left;
    }
    if (kept) positions.push_back(static_cast<std::int32_t>(j));
  }
  return positions;
}

}  // namespace tca::cpu
