#pragma once

#include <cuda_runtime.h>

#include "tca/tensor.h"

namespace tca::cuda {

/// Copies every element of a tensor in GPU memory to another one of its shape, whatever the strides and dtypes of both;
/// narrower dtypes round to nearest even.
cudaError_t convert(const TensorView& from, const MutableTensorView& to, cudaStream_t stream);

}  // namespace tca::cuda
