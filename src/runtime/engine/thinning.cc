#include "runtime/engine/thinning.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace tca::runtime {
namespace {

/// Tokens of one head's tail to offer now.
std::int64_t tokens_to_offer(const ThinParams& p, std::int32_t kv_head) {
  const std::int64_t tail = p.cache->length(p.layer, kv_head) - p.cache->tail_begin(p.layer, kv_head);
  if (p.whole_tail) return tail;
  return std::max<std::int64_t>(0, (tail - p.rule.window) / p.rule.block_size) * p.rule.block_size;
}

/// Tokens of a block of `size` tokens that stay.
std::int64_t expected_kept(const BlockShares& shares, std::int64_t size) {
  return std::llround(shares.kept_share() * static_cast<double>(size));
}

struct Head {
  const ThinParams* layer = nullptr;
  std::int32_t index = 0;
  std::int64_t count = 0;
  std::vector<float> scores;  // [count]; empty when all or nothing stays
};

/// Offsets of the k highest scores among [begin, end), appended; NaN counts as the lowest.
void append_best(const std::vector<float>& scores, std::int64_t begin, std::int64_t end, std::int64_t k,
                 std::vector<std::int32_t>& keep) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(end - begin));
  std::iota(order.begin(), order.end(), static_cast<std::int32_t>(begin));
  const auto score = [&](std::int32_t i) {
    const float s = scores[static_cast<std::size_t>(i)];
    return std::isnan(s) ? -1.0f : s;
  };
  std::partial_sort(order.begin(), order.begin() + k, order.end(),
                    [&](std::int32_t a, std::int32_t b) { return score(a) != score(b) ? score(a) > score(b) : a < b; });
  keep.insert(keep.end(), order.begin(), order.begin() + k);
}

std::vector<std::int32_t> tokens_to_keep(const Head& head) {
  const ThinParams& p = *head.layer;
  const BlockShares& shares = p.shares[static_cast<std::size_t>(head.index)];
  const std::int64_t first_slot = p.cache->tail_begin(p.layer, head.index);
  std::vector<std::int32_t> keep;
  for (std::int64_t i = 0; i < head.count && p.cache->position(p.layer, head.index, first_slot + i) < p.rule.sinks;
       ++i) {
    keep.push_back(static_cast<std::int32_t>(i));
  }
  for (std::int64_t begin = 0; begin < head.count; begin += p.rule.block_size) {
    const std::int64_t end = std::min<std::int64_t>(begin + p.rule.block_size, head.count);
    const std::int64_t k = expected_kept(shares, end - begin);
    if (k > 0) append_best(head.scores, begin, end, k, keep);
  }
  std::sort(keep.begin(), keep.end());
  keep.erase(std::unique(keep.begin(), keep.end()), keep.end());
  return keep;
}

std::vector<std::int32_t> everything(std::int64_t count) {
  std::vector<std::int32_t> keep(static_cast<std::size_t>(count));
  std::iota(keep.begin(), keep.end(), 0);
  return keep;
}

}  // namespace

void thin_tails(const Backend& backend, std::span<const ThinParams> layers) {
  std::vector<Head> heads;
  for (const ThinParams& p : layers) {
    for (std::int32_t h = 0; h < static_cast<std::int32_t>(p.shares.size()); ++h) {
      const std::int64_t count = tokens_to_offer(p, h);
      if (count > 0) heads.push_back({&p, h, count, {}});
    }
  }
  if (heads.empty()) return;

  const auto kept_per_block = [](const Head& head) {
    return expected_kept(head.layer->shares[static_cast<std::size_t>(head.index)], head.layer->rule.block_size);
  };
  std::vector<TailScoreParams> scoring;
  for (Head& head : heads) {
    const ThinParams& p = *head.layer;
    const std::int64_t kept = kept_per_block(head);
    if (kept == 0 || kept == p.rule.block_size) continue;
    head.scores.resize(static_cast<std::size_t>(head.count));
    scoring.push_back({.q = p.probes->queries(p.layer),
                       .lse = p.probes->lse(p.layer),
                       .cache = p.cache,
                       .layer = p.layer,
                       .kv_head = head.index,
                       .count = head.count,
                       .out = head.scores});
  }
  if (!scoring.empty()) backend.tail_scores(scoring);

  for (const Head& head : heads) {
    const bool all = kept_per_block(head) == head.layer->rule.block_size;
    head.layer->cache->thin(head.layer->layer, head.index, head.count,
                            all ? everything(head.count) : tokens_to_keep(head));
  }
}

}  // namespace tca::runtime
