// Row kernels of the forward pass, dispatched at run time to the CPU's vectors. Single-threaded; bf16 or fp32 memory,
// fp32 arithmetic.
#pragma once

#include <cstdint>

#include "runtime/spec/model_spec.h"
#include "tca/tensor.h"

namespace tca::runtime::kernels {

/// The vectors these kernels and those of model/fp32_product.h and model/int8.h run on: "AVX2".
const char* target_name();

/// out[r, c] (+)= sum_i x[r, i] weight[c, i] + bias[c], for a few rows. Every row's sums run in the same order, however
/// many rows there are.
struct MultiplyRows {
  const void* x = nullptr;       // [rows, in] in dtype; as read_order() leaves it for multiply_rows()
  const void* weight = nullptr;  // [columns, in] in weight_dtype
  const float* bias = nullptr;   // [columns], or null
  void* out = nullptr;           // [rows, columns] in out_dtype
  std::int64_t rows = 0, in = 0, columns = 0;
  std::int64_t out_stride = 0;  // elements from one row of out to the next
  DType dtype = DType::kBF16;
  DType weight_dtype = DType::kBF16;
  DType out_dtype = DType::kF32;  // fp32 or bf16
  bool add = false;               // out += ...; fp32 only
};
void multiply_rows(const MultiplyRows& params);

/// Whether multiply_rows() takes x of dtype beside weights of weight_dtype as it is.
inline bool reads_as_it_is(DType dtype, DType weight_dtype) { return dtype == weight_dtype; }
/// Rows [rows, in] of x as floats in the order in which weights of weight_dtype are read: bf16 ones come as pairs.
void read_order(const void* x, DType dtype, DType weight_dtype, std::int64_t rows, std::int64_t in, float* out);

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

/// x += factor * branch, or x += branch / rms(branch) * weight for every row of `width`, all fp32.
struct AddBranch {
  float* x = nullptr;             // [rows, width]
  const float* branch = nullptr;  // [rows, width]
  const float* weight = nullptr;  // [width], or null: not normalised
  std::int64_t rows = 0, width = 0;
  float eps = 0, factor = 1;  // factor: without a weight alone
};
void add_branch(const AddBranch& params);

/// The norm (when there is one) of every head, or of all heads of a row as one; then the rotation of the pairs (i, i +
/// head_dim / 2), and a factor.
struct NormAndRotate {
  const void* x = nullptr;      // [rows, heads, head_dim] in dtype
  void* out = nullptr;          // the same in out_dtype; may be x when both are one type
  const float* norm = nullptr;  // [head_dim], [heads, head_dim] for all as one, or null
  const float* cos = nullptr;   // [rows, head_dim / 2]
  const float* sin = nullptr;   // [rows, head_dim / 2]
  std::int64_t rows = 0;
  std::int32_t heads = 0, head_dim = 0;
  bool as_one = false;  // norm is of all heads
  float eps = 0, factor = 1;
  DType dtype = DType::kBF16;
  DType out_dtype = DType::kBF16;  // dtype, or bf16
};
void norm_and_rotate(const NormAndRotate& params);

/// gate = activation(gate) * up, n elements.
void activate(Activation activation, void* gate, const void* up, DType dtype, std::int64_t n);

}  // namespace tca::runtime::kernels
