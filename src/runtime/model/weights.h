// A model's weights as the forward pass uses them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/io/tensor_source.h"
#include "runtime/model/buffer.h"

namespace tca::runtime {

/// y = x W^T + b. A stored weight of bf16 or fp32 stays row-major as in the checkpoint and is not copied: one row at a
/// time wants exactly it, and blocks of rows bring it into their kernel's order and type on the way.
struct Linear {
  const void* weight = nullptr;  // [out, in] of dtype; int8 in groups (model/int8.h) when there are scales
  DType dtype = DType::kBF16;    // bf16 or fp32
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::vector<float> bias = {};    // [out], or empty
  std::vector<float> scales = {};  // of int8: [out, rounded up to whole groups]; else empty
  bool transposed = false;         // weight is [in, out], for products of fp32 x; not of int8
  /// Products of bf16 take it.
  bool fits_bf16() const { return dtype == DType::kBF16 || !scales.empty(); }
};

/// x W instead of x W^T, without the bias: what takes a gradient back. The same memory.
inline Linear transposed(const Linear& linear) {
  return {.weight = linear.weight, .dtype = linear.dtype, .in = linear.out, .out = linear.in, .transposed = true};
}

struct MlpWeights {
  Linear gate, up;  // hidden -> inner
  Linear down;      // inner -> hidden
};

struct ExpertWeights {
  Linear router;  // hidden -> experts, as stored whatever the others are
  std::vector<MlpWeights> experts;
};

/// Norms that a layer does not have are empty. What LayerSpec says of offsets and factors is in the values.
struct LayerWeights {
  std::vector<float> attention_norm, attention_out_norm;  // [hidden]
  Linear q, k, v;                                         // hidden -> heads * head_dim
  std::vector<float> q_norm, k_norm;                      // [head_dim], or [heads * head_dim] for all heads as one
  Linear o;                                               // heads * head_dim -> hidden
  std::vector<float> mlp_norm, mlp_out_norm;              // [hidden]
  MlpWeights mlp;                                         // when there are no experts
  ExpertWeights experts;
};

struct Weights {
  StoredTensor embedding;  // [vocab, hidden], as stored
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;  // [hidden]
  Linear lm_head;                 // hidden -> vocab; the embedding when tied
  std::size_t bytes = 0;          // of everything above, counted once

  std::unique_ptr<const TensorSource> source;  // owns the mapped memory
  std::vector<Buffer> converted;               // weights that are stored otherwise than they are used
};

}  // namespace tca::runtime
