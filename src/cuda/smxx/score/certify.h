#pragma once

#include <cuda_runtime.h>

#include "cuda/params.h"

namespace tca::cuda {

/// Dense attention mass that sampled rows do not see (tca::CertifyParams).
struct CertifyArgs {
  const void* q;  // [R, Hq, d]
  std::int64_t q_token_stride;
  const std::int32_t* tokens;  // [R] of the segment, on the device
  KeySource segment;           // num_rows = L
  KeySource past;              // data null: none
  KeptBits kept;               // sinks included
  std::int32_t num_rows, num_heads, num_kv_heads, head_dim;
  std::int32_t window;  // at most L
  float scale;
  float* partial;  // certify_partial_floats(): [Hk, chunks of past + segment, 3, R g]
  float* deltas;   // [R, Hq]
};

std::int64_t certify_partial_floats(const CertifyArgs& args);
/// T is __nv_bfloat16 or __half.
template <class T>
cudaError_t certify(const CertifyArgs& args, cudaStream_t stream);

/// max_j ||v_j||^2 of every KV head, NaN left out, into norms [Hk]; v [L, Hk, d].
template <class T>
cudaError_t value_norms(const void* v, std::int64_t token_stride, std::int32_t num_tokens, std::int32_t num_kv_heads,
                        std::int32_t head_dim, float* norms, cudaStream_t stream);

}  // namespace tca::cuda
