#include "cuda/smxx/score/certify.cuh"

namespace tca::cuda {
template cudaError_t certify<__half>(const CertifyArgs&, cudaStream_t);
}  // namespace tca::cuda
