// Rotary position embedding: inverse frequencies of the supported scalings, and tables of cosines and sines, for heads
// in RopeConfig::head_order().
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/spec/model_spec.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

struct RopeFrequencies {
  std::vector<double> inverse;   // [head_dim / 2], radians a position
  double attention_scaling = 1;  // factor on cosines and sines
  std::int64_t turned = 0;       // of these pairs; the others stay as they are
};

/// long_context: for contexts longer than original_max_position, where the scaling makes a difference.
RopeFrequencies rope_frequencies(const RopeConfig& config, std::int32_t head_dim, bool long_context = false);

/// Of all of a model's rotary embeddings.
std::vector<RopeFrequencies> model_frequencies(const ModelSpec& model, bool long_context = false);

/// Cosines and sines of n positions from `first` on, computed in double and stored as [n, head_dim / 2] each.
class RopeTable {
 public:
  void fill(const RopeFrequencies& frequencies, std::int64_t first, std::int64_t n, ThreadPool& pool);
  const float* cos(std::int64_t row) const { return cos_.data() + row * half_; }
  const float* sin(std::int64_t row) const { return sin_.data() + row * half_; }

 private:
  std::int64_t half_ = 0;
  std::vector<float> cos_, sin_;
};

}  // namespace tca::runtime
