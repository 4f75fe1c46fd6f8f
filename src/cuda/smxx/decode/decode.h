#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/params.h"

namespace tca::cuda {

/// Queries of the last n tokens of every sequence of a paged layer; K and V of those tokens are stored already.
struct DecodeArgs {
  const void* q;  // [num_sequences, n, Hq, d]
  void* out;      // [num_sequences, n, Hq, d]
  float* lse;     // [num_sequences, n, Hq] or null
  std::int64_t q_token_stride, out_token_stride;
  PagedLayer kv;
  std::int32_t num_queries;  // n
  std::int32_t num_heads;    // Hq
  float scale;
  float* partial;                 // decode_partial_floats(): split results
  std::int32_t* counters;         // decode_counters() zeros; every call leaves them zero
  std::int32_t shared_bytes = 0;  // most shared memory a block may take; 0: what the device allows
  std::int32_t num_splits;        // thread blocks the bytes are divided over: decode_splits()
};

/// One thread block an SM; fixed for a device, so results do not depend on anything else.
cudaError_t decode_splits(std::int32_t* num_splits);
std::int64_t decode_partial_floats(const DecodeArgs& args);
std::int64_t decode_counters(const DecodeArgs& args);
template <class T>
cudaError_t decode(const DecodeArgs& args, cudaStream_t stream);

}  // namespace tca::cuda
