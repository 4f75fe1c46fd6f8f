// SnapKV: Li et al., "SnapKV: LLM Knows What You are Looking for Before Generation", arXiv 2404.14469. Learned from
// NVIDIA's kvpress (SnapKVPress) and FFY0/AdaKV, whose window and max-pool are taken: kvpress has 64 queries and a mean
// over 5.
#include <algorithm>
#include <cmath>
#include <limits>

#include "evaluation/methods/published.h"

namespace tca::evaluation {
namespace {

constexpr std::int64_t kPoolWidth = 7;

std::vector<float> scores_of(const MethodLayer& at) {
  const std::int64_t n = at.num_tokens(), observed = std::min<std::int64_t>(kObservedTokens, n);
  std::vector<float> mean(static_cast<std::size_t>(n * at.num_kv_heads())), scores(mean.size());
  const TensorView& q = at.layer.q;
  // Unpooled: the window's own scores stay out of the pool. From a sequence's beginning they are plain probabilities.
  at.segment.backend.probe_scores(
      {.q = q.tokens(q.num_tokens - observed, observed), .k = at.layer.k, .past = at.layer.past, .pool_width = 1},
      mean);
  for (std::int32_t h = 0; h < at.num_kv_heads(); ++h) {
    const float* const from = mean.data() + h * n;
    float* const to = scores.data() + h * n;
    for (std::int64_t j = 0; j < n - observed; ++j) {
      const std::int64_t begin = std::max<std::int64_t>(0, j - kPoolWidth / 2);
      to[j] = *std::max_element(from + begin, from + std::min(n - observed, j + kPoolWidth / 2 + 1));
    }
    std::fill(to + n - observed, to + n, std::numeric_limits<float>::infinity());
  }
  return scores;
}

}  // namespace

TokenScores snapkv_scores() { return {.of = scores_of}; }

TokenBudgets uniform_budgets(double share) {
  return [share](const MethodLayer& at, std::span<const float> /*scores*/) {
    return std::vector<std::int64_t>(static_cast<std::size_t>(at.num_kv_heads()),
                                     std::llround(share * static_cast<double>(at.num_tokens())));
  };
}

}  // namespace tca::evaluation
