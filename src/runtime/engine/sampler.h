// From logits to a token: greedy, temperature, top-k, top-p, min-p, repetition penalty, seed.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace tca::runtime {

struct SamplingOptions {
  double temperature = 0;         // 0: greedy
  std::int32_t top_k = 0;         // 0: off
  double top_p = 1;               // 1: off
  double min_p = 0;               // 0: off
  double repetition_penalty = 1;  // 1: off; over the tokens of `recent`
  std::uint64_t seed = 0;
};

class Sampler {
 public:
  /// Throws kInvalidArgument naming the option, its value and its range.
  explicit Sampler(const SamplingOptions& options);
  /// Ties: the lower id wins. The same seed and logits give the same tokens on every machine.
  std::int32_t sample(std::span<const float> logits, std::span<const std::int32_t> recent);

 private:
  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<std::pair<float, std::int32_t>> candidates_;
};

}  // namespace tca::runtime
