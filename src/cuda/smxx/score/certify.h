#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/params.h"
#include "cuda/smxx/kv/pages.h"

namespace tca::cuda {

/// Dense attention of sampled rows, and its mass that they do not see (tca::CertifyParams).
struct CertifyArgs {
  const void* q;  // [R, Hq, d]
  std::int64_t q_token_stride;
  const std::int32_t* tokens;  // [R] of the segment, on the device
  KeysAndValues segment;       // num_rows = L
  KeysAndValues past;          // data null: none
  KeptBits kept;               // sinks included
  std::int32_t num_rows, num_heads, num_kv_heads, head_dim;
  std::int32_t window;  // at most L
  float scale;
  float* partial;              // [Hk, chunks of past + segment, 3, R g], as certify_partial_rows() says
  float* partial_out;          // [Hk, chunks, R g, d]
  float* deltas;               // [R, Hq]
  float* output_norms;         // [R, Hq] ||o||_2
  float* squared_value_norms;  // [Hk] the largest ||v_j||_2^2 of past and segment, NaN left out
};

/// Hk, chunks and R g multiplied.
std::int64_t certify_partial_rows(const CertifyArgs& args);
/// T is __nv_bfloat16 or __half.
template <class T>
cudaError_t certify(const CertifyArgs& args, cudaStream_t stream);

}  // namespace tca::cuda
