// Models on the GPU. They compute in bf16 with fp32 sums; sessions take them like any other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/model/model.h"

namespace tca::runtime {

struct CudaModelOptions {
  ComputeType compute = ComputeType::kAuto;  // bf16; kF32 is refused
  /// Products of up to this many rows (at most 8) are computed by a kernel of our own, larger ones by cuBLASLt.
  std::int64_t skinny_rows = 4;
  std::int32_t device = 0;  // which GPU, as CUDA counts them
};

/// As Model::load(), into the GPU's memory. Throws kUnsupported when there is no GPU, or one that cannot compute this
/// model, kOutOfBudget when its memory is too small.
std::shared_ptr<const Model> load_on_gpu(const std::string& path, ThreadPool& pool,
                                         const CudaModelOptions& options = {});

/// A model of this shape with weights drawn on the GPU, for measurements; its fingerprint has no weights_sha256.
std::shared_ptr<const Model> random_model(const ModelConfig& config, std::uint64_t seed,
                                          const CudaModelOptions& options = {});

}  // namespace tca::runtime
