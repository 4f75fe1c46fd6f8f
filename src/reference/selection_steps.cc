#include <algorithm>
#include <cmath>
#include <numeric>

#include "reference/steps.h"

namespace tca::reference {
namespace {

double score_or_zero(float score) { return std::isnan(score) ? 0.0 : static_cast<double>(score); }

}  // namespace

std::vector<double> probe_mass(const Tensor& q, const HeadTokens& tokens, std::int32_t kv_head,
                               std::int32_t num_kv_heads, std::int64_t segment_tokens, double scale, bool probes_follow,
                               ProbeReduce reduce) {
  const std::int32_t group = q.num_heads / num_kv_heads;
  const auto segment = static_cast<std::size_t>(segment_tokens);
  const std::size_t past = tokens.size() - segment;
  std::vector<double> mass(segment, 0.0);
  for (std::int64_t p = 0; p < q.num_tokens; ++p) {
    const std::size_t later = probes_follow ? 0 : static_cast<std::size_t>(q.num_tokens - 1 - p);
    const std::size_t causal = tokens.size() - later;
    for (std::int32_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      std::vector<double> scores(causal);
      for (std::size_t t = 0; t < causal; ++t) scores[t] = dot(q.row(p, head), tokens.k[t]) * scale;
      const Softmax attention = softmax(scores);
      for (std::size_t t = past; t < causal; ++t) {
        double& of_key = mass[t - past];
        of_key = reduce == ProbeReduce::kMax ? std::max(of_key, attention.weights[t]) : of_key + attention.weights[t];
      }
    }
  }
  if (reduce == ProbeReduce::kMax) return mass;
  for (double& m : mass) m /= static_cast<double>(q.num_tokens * group);
  return mass;
}

std::vector<double> max_pool(std::span<const double> values, std::int32_t width) {
  const auto size = static_cast<std::int64_t>(values.size());
  std::vector<double> pooled(values.begin(), values.end());
  for (std::int64_t j = 0; j < size; ++j) {
    const std::int64_t begin = std::max<std::int64_t>(0, j - width / 2);
    const std::int64_t end = std::min<std::int64_t>(size, j + width / 2 + 1);
    for (std::int64_t i = begin; i < end; ++i) pooled[j] = std::max(pooled[j], values[i]);
  }
  return pooled;
}

std::vector<double> normalise(std::span<const double> values) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  std::vector<double> result(values.begin(), values.end());
  for (double& value : result) value = sum < kMinSegmentMass ? 0.0 : value / sum;
  return result;
}

std::vector<BlockStatistics> block_statistics(std::span<const float> scores, std::int32_t block_size) {
  std::vector<BlockStatistics> blocks;
  for (std::size_t begin = 0; begin < scores.size(); begin += block_size) {
    const std::size_t end = std::min(scores.size(), begin + block_size);
    double mass = 0, squares = 0;
    for (std::size_t j = begin; j < end; ++j) {
      const double s = score_or_zero(scores[j]);
      mass += s;
      squares += s * s;
    }
    blocks.push_back({.mass = mass, .concentration = mass == 0 ? 1.0 : squares / (mass * mass)});
  }
  return blocks;
}

std::vector<std::int32_t> block_order(std::span<const BlockStatistics> statistics, BlockOrder order) {
  std::vector<std::int32_t> blocks(statistics.size());
  std::iota(blocks.begin(), blocks.end(), 0);
  const auto richer = [&](std::int32_t a, std::int32_t b) {
    const BlockStatistics &x = statistics[a], &y = statistics[b];
    if (order == BlockOrder::kSimpson) return x.concentration < y.concentration;
    return x.mass / x.concentration > y.mass / y.concentration;
  };
  std::stable_sort(blocks.begin(), blocks.end(), richer);
  return blocks;
}

std::vector<std::int32_t> allocate(const BlockShares& shares, std::int64_t num_blocks) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(num_blocks), 0);
  double cumulative = 0;
  std::int64_t begin = 0;
  for (std::size_t i = shares.share.size() - 1; i >= 1; --i) {  // share[i] of the blocks keep 2^(i - 1)
    cumulative += shares.share[i];
    const auto boundary = static_cast<std::int64_t>(std::floor(cumulative * static_cast<double>(num_blocks) + 0.5));
    const std::int64_t end = std::min(boundary, num_blocks);
    std::fill(tokens.begin() + begin, tokens.begin() + end, std::int32_t{1} << (i - 1));
    begin = end;
  }
  return tokens;
}

std::vector<std::int32_t> choose_in_block(std::span<const float> scores, std::int32_t count) {
  std::vector<std::int32_t> positions(scores.size());
  std::iota(positions.begin(), positions.end(), 0);
  std::stable_sort(positions.begin(), positions.end(),
                   [&](std::int32_t a, std::int32_t b) { return score_or_zero(scores[a]) > score_or_zero(scores[b]); });
  positions.resize(std::min(positions.size(), static_cast<std::size_t>(count)));
  std::sort(positions.begin(), positions.end());
  return positions;
}

namespace {

/// What the blocks of one head keep, and the sinks.
std::vector<std::int32_t> choose_by_blocks(std::span<const float> scores, const BlockShares& shares,
                                           const SelectionRule& rule) {
  const std::vector<BlockStatistics> statistics = block_statistics(scores, rule.block_size);
  const std::vector<std::int32_t> order = block_order(statistics, rule.order);
  const std::vector<std::int32_t> counts = allocate(shares, static_cast<std::int64_t>(order.size()));
  std::vector<bool> chosen(scores.size(), false);
  std::fill_n(chosen.begin(), std::min<std::size_t>(rule.sinks, scores.size()), true);
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const std::size_t begin = static_cast<std::size_t>(order[rank]) * rule.block_size;
    const std::size_t length = std::min<std::size_t>(rule.block_size, scores.size() - begin);
    for (const std::int32_t j : choose_in_block(scores.subspan(begin, length), counts[rank])) {
      chosen[begin + j] = true;
    }
  }
  std::vector<std::int32_t> positions;
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    if (chosen[j]) positions.push_back(static_cast<std::int32_t>(j));
  }
  return positions;
}

}  // namespace

std::vector<std::int32_t> choose_tokens(std::span<const float> scores, double kept_share, std::int32_t sinks,
                                        std::int32_t window) {
  const auto size = static_cast<std::int64_t>(scores.size());
  const std::int64_t begin = std::min<std::int64_t>(sinks, size);
  const std::int64_t end = std::max(begin, size - window);
  const double wanted = std::floor(kept_share * static_cast<double>(end - begin) + 0.5);
  const auto count = static_cast<std::int32_t>(std::min(wanted, static_cast<double>(end - begin)));
  std::vector<std::int32_t> positions(static_cast<std::size_t>(begin));
  std::iota(positions.begin(), positions.end(), 0);
  for (const std::int32_t j : choose_in_block(scores.subspan(begin, end - begin), count)) {
    positions.push_back(static_cast<std::int32_t>(begin) + j);
  }
  for (std::int64_t j = end; j < size; ++j) positions.push_back(static_cast<std::int32_t>(j));
  return positions;
}

KeptSet kept_from_scores(std::span<const float> scores, std::span<const BlockShares> shares, const SelectionRule& rule,
                         std::int64_t num_tokens, std::span<const std::int32_t> windows) {
  std::vector<std::int64_t> offsets = {0};
  std::vector<std::int32_t> positions;
  const auto size = static_cast<std::size_t>(num_tokens);
  for (std::size_t head = 0; head < shares.size(); ++head) {
    const std::span<const float> head_scores = scores.subspan(head * size, size);
    const std::int32_t window = windows.empty() ? 0 : windows[head];
    const std::vector<std::int32_t> chosen =
        rule.order == BlockOrder::kTokens ? choose_tokens(head_scores, shares[head].kept_share(), rule.sinks, window)
                                          : choose_by_blocks(head_scores, shares[head], rule);
    positions.insert(positions.end(), chosen.begin(), chosen.end());
    offsets.push_back(static_cast<std::int64_t>(positions.size()));
  }
  return {num_tokens, std::move(offsets), std::move(positions)};
}

}  // namespace tca::reference
