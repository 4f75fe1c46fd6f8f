#include "cuda/smxx/score/certify.cuh"

namespace tca::cuda {

template cudaError_t certify<__half>(const CertifyArgs&, cudaStream_t);
template cudaError_t value_norms<__half>(const void*, std::int64_t, std::int32_t, std::int32_t, std::int32_t, float*,
                                         cudaStream_t);
}  // namespace tca::cuda
