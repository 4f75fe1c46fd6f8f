#include "runtime/cuda/gpu.h"

#include "cuda/device.h"
#include "runtime/cuda/cublas_lt.h"
#include "runtime/cuda/gpu_weights.h"
#include "tca/error.h"

namespace tca::runtime::gpu {
namespace {

// The pool that cuda::Device allocates from.
cudaMemPool_t pool() {
  cudaMemPool_t pool = nullptr;
  cuda::check(cudaDeviceGetDefaultMemPool(&pool, 0), "asking for its memory");
  return pool;
}

}  // namespace

void require() {
  cuda::Device::get();
  cublas_lt();
}

std::string description() { return cuda::Device::available() ? cuda::Device::get().description() : std::string(); }

bool computes(const ModelConfig& config) {
  try {
    check_config(config);
    require();
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::uint64_t peak_bytes() {
  if (!cuda::Device::available()) return 0;
  std::uint64_t bytes = 0;
  cuda::check(cudaMemPoolGetAttribute(pool(), cudaMemPoolAttrUsedMemHigh, &bytes), "asking for its memory");
  return bytes;
}

void reset_peak() {
  if (!cuda::Device::available()) return;
  cuda::Device::get().synchronize();
  std::uint64_t now = 0;  // the only value that CUDA takes: the peak begins anew at what is in use
  cuda::check(cudaMemPoolSetAttribute(pool(), cudaMemPoolAttrUsedMemHigh, &now), "asking for its memory");
}

}  // namespace tca::runtime::gpu
