// The backend on an NVIDIA GPU. Tensors in GPU memory are read and written in place where their strides allow; those in
// host memory travel. A call whose tensors all lie in GPU memory returns when its work is queued on the backend's
// stream.
#pragma once

#include <memory>

#include "cuda/device.h"
#include "tca/backend.h"

namespace tca {

/// The environment variable TCA_CUDA_KERNELS=sm80 makes it use the prefill kernels of compute capability 8.0 on newer
/// GPUs too; it is read here, once a backend.
std::unique_ptr<Backend> create_cuda_backend(std::shared_ptr<cuda::Device> device);

}  // namespace tca
