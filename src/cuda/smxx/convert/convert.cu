#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdint>

#include "cuda/smxx/convert/convert.h"

namespace tca::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ float load(const void* data, DType dtype, std::int64_t i) {
  if (dtype == DType::kF32) return static_cast<const float*>(data)[i];
  if (dtype == DType::kBF16) return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
  return __half2float(static_cast<const __half*>(data)[i]);
}
__device__ __forceinline__ void store(void* data, DType dtype, std::int64_t i, float value) {
  if (dtype == DType::kF32) {
    static_cast<float*>(data)[i] = value;
  } else if (dtype == DType::kBF16) {
    static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(value);
  } else {
    static_cast<__half*>(data)[i] = __float2half_rn(value);
  }
}

__global__ void __launch_bounds__(kThreads) convert_kernel(TensorView from, MutableTensorView to) {
  const std::int64_t row = std::int64_t{from.num_heads} * from.head_dim, count = from.num_tokens * row;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * kThreads) {
    const std::int64_t token = i / row;
    const int rest = static_cast<int>(i - token * row), head = rest / from.head_dim, e = rest % from.head_dim;
    const std::int64_t source = token * from.token_stride + head * from.head_stride + e;
    const std::int64_t target = token * to.token_stride + head * to.head_stride + e;
    if (from.dtype == to.dtype && from.dtype != DType::kF32) {
      static_cast<std::uint16_t*>(to.data)[target] = static_cast<const std::uint16_t*>(from.data)[source];
    } else {
      store(to.data, to.dtype, target, load(from.data, from.dtype, source));
    }
  }
}

}  // namespace

cudaError_t convert(const TensorView& from, const MutableTensorView& to, cudaStream_t stream) {
  const std::int64_t count = from.num_tokens * from.num_heads * from.head_dim;
  if (count == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>((count + kThreads - 1) / kThreads, 1 << 16));
  convert_kernel<<<blocks, kThreads, 0, stream>>>(from, to);
  return cudaGetLastError();
}

}  // namespace tca::cuda
