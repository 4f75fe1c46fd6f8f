// AdaKV: Feng et al., arXiv 2407.11550, as kvpress (AdaKVPress) has it: the safeguard is the head's own best tokens,
// where FFY0/AdaKV mixes the counts.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "evaluation/methods/published.h"

namespace tca::evaluation {
namespace {

constexpr double kSafeguard = 0.2;  // of the even share, every head's own

struct Token {
  float score = 0;
  std::int32_t head = 0;
};

}  // namespace

TokenBudgets adakv_budgets(double share) {
  return [share](const MethodLayer& at, std::span<const float> scores) {
    const std::int64_t n = at.num_tokens(), even = std::llround(share * static_cast<double>(n));
    const auto safe = static_cast<std::int64_t>(kSafeguard * static_cast<double>(even));
    std::vector<Token> tokens;
    std::vector<float> own(static_cast<std::size_t>(n));
    for (std::int32_t h = 0; h < at.num_kv_heads(); ++h) {
      std::copy_n(scores.begin() + h * n, n, own.begin());
      std::nth_element(own.begin(), own.begin() + safe, own.end(), std::greater<>());
      std::fill_n(own.begin(), safe, std::numeric_limits<float>::infinity());
      for (const float score : own) tokens.push_back({score, h});
    }
    const auto end = tokens.begin() + even * at.num_kv_heads();
    std::nth_element(tokens.begin(), end, tokens.end(), [](const Token& a, const Token& b) {
      return a.score != b.score ? a.score > b.score : a.head < b.head;
    });
    std::vector<std::int64_t> budgets(static_cast<std::size_t>(at.num_kv_heads()), 0);
    for (auto token = tokens.begin(); token != end; ++token) ++budgets[static_cast<std::size_t>(token->head)];
    return budgets;
  };
}

}  // namespace tca::evaluation
