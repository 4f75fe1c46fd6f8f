// PyramidKV: Cai et al., arXiv 2406.02069. Learned from kvpress (PyramidKVPress) and FFY0/AdaKV, which counts the
// window on top of what falls from layer to layer, as here.
#include <algorithm>
#include <cmath>

#include "evaluation/methods/published.h"

namespace tca::evaluation {
namespace {

constexpr double kSteepness = 20;  // the mean of what layers keep beside the window, over that of the last one

double tokens_of(const MethodLayer& at, double share) {
  const auto n = static_cast<double>(at.num_tokens());
  const double window = std::min<double>(kObservedTokens, share * n), mean = share * n - window;
  double last = mean / kSteepness, first = 2 * mean - last;
  if (first > n - window) {
    first = n - window;
    last = 2 * mean - first;
  }
  const std::int32_t layers = at.segment.model.num_layers;
  if (layers == 1) return share * n;
  return window + first - (first - last) * at.layer.layer / (layers - 1);
}

}  // namespace

TokenBudgets pyramidkv_budgets(double share) {
  return [share](const MethodLayer& at, std::span<const float> /*scores*/) {
    return std::vector<std::int64_t>(static_cast<std::size_t>(at.num_kv_heads()), std::llround(tokens_of(at, share)));
  };
}

}  // namespace tca::evaluation
