#pragma once

#include <cuda_runtime.h>

#include "cuda/params.h"

namespace tca::cuda::sm80 {

/// Sparse or dense causal attention of one segment on any GPU from Ampere on. Head dimensions 64, 96, 128, 256; bf16
/// and fp16.
template <class T>
cudaError_t prefill(const PrefillArgs& args, cudaStream_t stream);

}  // namespace tca::cuda::sm80
