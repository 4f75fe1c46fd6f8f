// TMA tensor maps: 3-D, 128-byte swizzle, zero fill outside.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace tca::cuda {

struct TensorMapDesc {
  CUtensorMapDataType type;
  const void* data;
  std::uint64_t dims[3];     // innermost first, elements
  std::uint64_t strides[2];  // of dims 1 and 2, bytes, multiples of 16
  std::uint32_t box[3];
};

/// cudaErrorInvalidValue when the driver refuses the shape (alignment, sizes).
cudaError_t make_tensor_map(CUtensorMap* map, const TensorMapDesc& desc);

}  // namespace tca::cuda
