// A rotary embedding.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tca::runtime {

enum class RopeScaling { kNone, kLinear, kLlama3, kYarn };

struct RopeConfig {
  RopeScaling scaling = RopeScaling::kNone;
  double theta = 10000;
  double factor = 1;
  // llama3
  double low_freq_factor = 1, high_freq_factor = 4;
  // llama3, yarn
  double original_max_position = 0;
  // yarn
  double beta_fast = 32, beta_slow = 1;
  std::optional<double> attention_factor = {}, mscale = {}, mscale_all_dim = {};
  bool truncate = true;
  std::string describe() const;  // for fingerprints
  /// Tokens that yarn stretches the context to: the length it was trained with times the factor. Nothing for others.
  std::optional<std::int64_t> reach() const;
};

}  // namespace tca::runtime
