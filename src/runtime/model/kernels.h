// Row kernels of the forward pass, dispatched at run time to the CPU's vectors. Single-threaded; bf16 or fp32 memory,
// fp32 arithmetic.
#pragma once

#include <cstdint>

#include "tca/tensor.h"

namespace tca::runtime::kernels {

/// out[r, c] (+)= sum_i x[r, i] weight[c, i] + bias[c], for a few rows. Every row's sums run in the same order, however
/// many rows there are.
struct MultiplyRows {
  const void* x = nullptr;       // [rows, in] in dtype
  const void* weight = nullptr;  // [columns, in] in dtype
  const float* bias = nullptr;   // [columns], or null
  void* out = nullptr;           // [rows, columns] in out_dtype
  std::int64_t rows = 0, in = 0, columns = 0;
  std::int64_t out_stride = 0;  // elements from one row of out to the next
  DType dtype = DType::kBF16;
  DType out_dtype = DType::kF32;  // fp32, or dtype
  bool add = false;               // out += ...; fp32 only
};
void multiply_rows(const MultiplyRows& params);

/// out = x / rms(x) * weight for every row of `width`; rms(x) = sqrt(mean x^2 + eps).
struct RmsNorm {
  const float* x = nullptr;  // [rows, width]
  const float* weight = nullptr;
  void* out = nullptr;  // [rows, width] in dtype
  std::int64_t rows = 0, width = 0;
  float eps = 0;
  DType dtype = DType::kBF16;
};
void rms_norm(const RmsNorm& params);

/// In place: the norm of every head (when there is one), then the rotation of the pairs (i, i + head_dim / 2).
struct NormAndRotate {
  void* x = nullptr;            // [rows, heads, head_dim] in dtype
  const float* norm = nullptr;  // [head_dim], or null
  const float* cos = nullptr;   // [rows, head_dim / 2]
  const float* sin = nullptr;   // [rows, head_dim / 2]
  std::int64_t rows = 0;
  std::int32_t heads = 0, head_dim = 0;
  float eps = 0;
  DType dtype = DType::kBF16;
};
void norm_and_rotate(const NormAndRotate& params);

/// gate = gate / (1 + exp(-gate)) * up, n elements.
void swiglu(void* gate, const void* up, DType dtype, std::int64_t n);

}  // namespace tca::runtime::kernels
