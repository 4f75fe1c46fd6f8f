// A model's weights in GPU memory: bf16 matrices, fp32 vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/memory.h"
#include "cuda/device.h"
#include "runtime/io/model_config.h"
#include "runtime/io/tensor_source.h"
#include "tca/thread_pool.h"

namespace tca::runtime::gpu {

/// y = x W^T; biases are added by the kernels that come next.
struct Matrix {
  const void* weight = nullptr;  // [out, in] bf16
  const float* bias = nullptr;   // [out], or null
  std::int64_t in = 0, out = 0;
};

/// Norms that a layer does not have are null.
struct GpuLayer {
  const float* attention_norm = nullptr;  // [hidden]
  Matrix qkv;                             // hidden -> q | k | v: (Hq + 2 Hk) d
  const float* q_norm = nullptr;          // [d], or [Hq, d] for all heads as one
  const float* k_norm = nullptr;
  Matrix o;                                   // Hq d -> hidden
  const float* attention_out_norm = nullptr;  // [hidden]
  const float* mlp_norm = nullptr;            // [hidden]
  Matrix gate_up;                             // hidden -> gate | up: 2 inner; of all experts below each other
  Matrix down;                                // inner -> hidden; of all experts below each other
  Matrix router;                              // hidden -> experts, where there are some
  const float* mlp_out_norm = nullptr;        // [hidden]
};

struct GpuWeights {
  const void* embedding = nullptr;  // [vocab, hidden] bf16
  std::vector<GpuLayer> layers;
  const float* final_norm = nullptr;  // [hidden]
  Matrix lm_head;                     // hidden -> vocab; the embedding when tied
  std::size_t bytes = 0;              // of everything above
  std::vector<MemoryBlock> blocks;    // own it
};

/// Throws kUnsupported naming the field of config.json whose value the GPU's kernels do not take.
void check_config(const ModelConfig& config);

/// Copies stored weights; what is not bf16 becomes so on the way. Throws what TensorSource::get() throws, and
/// kOutOfBudget when the GPU's memory is too small.
GpuWeights load_weights(cuda::Device& device, const TensorSource& tensors, const ModelConfig& config, ThreadPool& pool);

/// Matrices of mean 0 and deviation 1 / sqrt(in), norms and biases of 1: drawn on the GPU, the same for a seed.
GpuWeights random_weights(cuda::Device& device, const ModelConfig& config, std::uint64_t seed);

}  // namespace tca::runtime::gpu
