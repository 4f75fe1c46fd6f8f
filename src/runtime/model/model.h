// A model ready to run: configuration and weights. Immutable after load; shared by any number of sessions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/memory.h"
#include "runtime/io/model_config.h"
#include "runtime/model/precision.h"
#include "tca/profile.h"
#include "tca/tensor.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

/// What the linear layers' weights are kept as. kStored: what the files have, as far as the products take it.
/// kInt8: eight bits and a scale an output channel (model/int8.h), on the CPU alone.
enum class WeightType { kStored, kInt8 };

struct ModelOptions {
  ComputeType compute = ComputeType::kAuto;
  WeightType weights = WeightType::kStored;
};

struct Weights;  // model/weights.h
class Forward;   // model/forward.h
class Model;

/// A model's weights on another device than the CPU. Immutable; shared like the model.
class DeviceModel {
 public:
  virtual ~DeviceModel() = default;
  virtual Memory& memory() const = 0;
  virtual std::int32_t number() const { return 0; }  // of the device, as its backend counts them
  virtual std::size_t weight_bytes() const = 0;
  /// `model` is the one that holds this and outlives the result. Without a stream: on one of the device's own.
  virtual std::unique_ptr<Forward> create_forward(const Model& model, ThreadPool& pool, std::int64_t chunk_tokens,
                                                  const std::optional<Stream>& stream) const = 0;
};

class Model {
 public:
  /// path: a folder as downloaded from Hugging Face (config.json, safetensors), or a GGUF file. Throws tca::Error.
  static std::shared_ptr<const Model> load(const std::string& path, ThreadPool& pool, const ModelOptions& options = {});
  /// One whose weights another device has; computes in bf16. weights_sha256 as in ModelFingerprint.
  static std::shared_ptr<const Model> create(ModelConfig config, std::string weights_sha256, std::string content_hash,
                                             std::unique_ptr<const DeviceModel> device);
  ~Model();

  const ModelConfig& config() const { return config_; }
  const Weights& weights() const { return *weights_; }  // the CPU's; there are none when device() is not null
  const DeviceModel* device() const { return device_.get(); }
  /// Tokens of the longest context that is computed right: on a GPU no longer than a sliding window.
  std::int64_t longest_context() const;
  ModelFingerprint fingerprint() const;
  const Precision& precision() const { return precision_; }
  /// TensorSource::content_hash() of its weights, by which a saved session knows them again; empty for random ones.
  const std::string& content_hash() const;
  WeightType weight_type() const { return weight_type_; }
  std::size_t weight_bytes() const;  // in memory, as used
  /// Where its weights lie. Forward::memory() is the same memory in the order of a forward pass's stream.
  Memory& device_memory() const { return device_ == nullptr ? host_memory() : device_->memory(); }

 private:
  Model() = default;
  ModelConfig config_;
  Precision precision_;
  WeightType weight_type_ = WeightType::kStored;
  std::string weights_sha256_;
  mutable std::once_flag hashed_;
  mutable std::string content_hash_;
  std::unique_ptr<Weights> weights_;
  std::unique_ptr<const DeviceModel> device_;
};

}  // namespace tca::runtime
