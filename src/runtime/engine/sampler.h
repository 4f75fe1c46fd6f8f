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
  double repetition_penalty = 1;  // 1: off; of all tokens that note() was told
  std::uint64_t seed = 0;
};

class Sampler {
 public:
  /// Throws kInvalidArgument naming the option, its value and its range.
  explicit Sampler(const SamplingOptions& options);
  /// Tokens that the text has (those sampled are not noted by themselves): what the repetition penalty counts.
  void note(std::span<const std::int32_t> ids);
  /// Ties: the lower id wins. The same seed and logits give the same tokens on every machine. Throws kInvalidArgument
  /// for logits from which no token can be drawn (NaN, +infinity, -infinity alone).
  std::int32_t sample(std::span<const float> logits);

 private:
  struct Candidate {
    float logit = 0;
    std::int32_t id = 0;
    double weight = 0;
  };
  /// The likelier one, the lower id among equals.
  static bool before(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  }

  void take_candidates(std::span<const float> logits);
  void penalise();
  void keep_top_k();
  void weigh();
  void keep_top_p();
  std::int32_t draw();

  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<Candidate> candidates_;
  std::vector<bool> noted_;  // by id
};

}  // namespace tca::runtime
