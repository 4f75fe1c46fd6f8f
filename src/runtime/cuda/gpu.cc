#include "runtime/cuda/gpu.h"

#include "cuda/device.h"
#include "runtime/cuda/cublas_lt.h"
#include "runtime/cuda/gpu_weights.h"
#include "tca/error.h"

namespace tca::runtime::gpu {
namespace {

// The pool that a cuda::Device allocates from.
cudaMemPool_t pool(std::int32_t device) {
  cudaMemPool_t pool = nullptr;
  cuda::check(cudaDeviceGetDefaultMemPool(&pool, device), "asking for its memory");
  return pool;
}

}  // namespace

void require(std::int32_t device) {
  cuda::Device::get(device);
  cublas_lt();
}

std::string description(std::int32_t device) {
  return cuda::Device::available(device) ? cuda::Device::get(device)->description() : std::string();
}

bool computes(const ModelConfig& config) {
  try {
    check_config(config);
    require();
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::uint64_t peak_bytes(std::int32_t device) {
  if (!cuda::Device::available(device)) return 0;
  std::uint64_t bytes = 0;
  cuda::check(cudaMemPoolGetAttribute(pool(device), cudaMemPoolAttrUsedMemHigh, &bytes), "asking for its memory");
  return bytes;
}

void reset_peak(std::int32_t device) {
  if (!cuda::Device::available(device)) return;
  cuda::Device::get(device)->synchronize();
  std::uint64_t now = 0;  // the only value that CUDA takes: the peak begins anew at what is in use
  cuda::check(cudaMemPoolSetAttribute(pool(device), cudaMemPoolAttrUsedMemHigh, &now), "asking for its memory");
}

}  // namespace tca::runtime::gpu
