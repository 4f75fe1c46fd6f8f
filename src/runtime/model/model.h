// A checkpoint ready to run: configuration and weights. Immutable after load; shared by any number of sessions.
#pragma once

#include <memory>
#include <string>

#include "core/memory.h"
#include "runtime/io/model_config.h"
#include "tca/profile.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

enum class ComputeType { kAuto, kBF16, kF32 };  // kAuto: bf16 products where the CPU has them, else fp32

struct ModelOptions {
  ComputeType compute = ComputeType::kAuto;
};

struct Weights;  // model/weights.h

class Model {
 public:
  /// dir as downloaded from Hugging Face: config.json, safetensors. Throws tca::Error.
  static std::shared_ptr<const Model> load(const std::string& dir, ThreadPool& pool, const ModelOptions& options = {});
  ~Model();

  const ModelConfig& config() const { return config_; }
  const Weights& weights() const { return *weights_; }
  ModelFingerprint fingerprint() const;
  ComputeType compute() const { return compute_; }
  std::size_t weight_bytes() const;  // in memory, as used
  /// Where its forward pass computes: weights, activations, what attention is given.
  Memory& device_memory() const { return host_memory(); }

 private:
  Model() = default;
  ModelConfig config_;
  ComputeType compute_ = ComputeType::kBF16;
  std::string weights_sha256_;
  std::unique_ptr<Weights> weights_;
};

}  // namespace tca::runtime
