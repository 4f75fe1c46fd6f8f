#pragma once

#include <cuda_runtime.h>

#include "cuda/params.h"

namespace tca::cuda::sm90 {

/// Sparse or dense causal attention of one segment on Hopper. Defined for head_dim 64 and 128, bf16 and fp16.
template <int kHeadDim, class T>
cudaError_t prefill(const PrefillArgs& args, cudaStream_t stream);

}  // namespace tca::cuda::sm90
