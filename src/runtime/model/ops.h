// The steps of the forward pass between matrix products, each over rows in parallel.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/io/tensor_source.h"
#include "runtime/model/kernels.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

/// Rows of the embedding [vocab, width] as floats: out [ids.size(), width].
void embed(const StoredTensor& embedding, std::span<const std::int32_t> ids, float* out, ThreadPool& pool);
void rms_norm(const kernels::RmsNorm& params, ThreadPool& pool);
void norm_and_rotate(const kernels::NormAndRotate& params, ThreadPool& pool);
/// gate = silu(gate) * up over [rows, width].
void swiglu(void* gate, const void* up, DType dtype, std::int64_t rows, std::int64_t width, ThreadPool& pool);

/// ln softmax(logits)[id], in double.
double log_probability(std::span<const float> logits, std::int32_t id);

}  // namespace tca::runtime
