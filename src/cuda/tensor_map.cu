#include "cuda/tensor_map.h"

namespace tca::cuda {

cudaError_t make_tensor_map(CUtensorMap* map, const TensorMapDesc& d) {
  // Asked of the runtime, so that the library does not link the driver.
  static const auto encode = [] {
    void* entry = nullptr;
    cudaDriverEntryPointQueryResult found;
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, 12000, cudaEnableDefault, &found) !=
        cudaSuccess)
      entry = nullptr;
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(entry);
  }();
  if (encode == nullptr) return cudaErrorNotSupported;
  const cuuint32_t ones[3] = {1, 1, 1};
  const cuuint64_t dims[3] = {d.dims[0], d.dims[1], d.dims[2]}, strides[2] = {d.strides[0], d.strides[1]};
  const CUresult r =
      encode(map, d.type, 3, const_cast<void*>(d.data), dims, strides, d.box, ones, CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return r == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

}  // namespace tca::cuda
