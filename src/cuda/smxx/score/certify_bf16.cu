#include "cuda/smxx/score/certify.cuh"

namespace tca::cuda {
std::int64_t certify_partial_floats(const CertifyArgs& a) {
  return std::int64_t{3} * a.num_rows * a.num_heads *
         (certify_detail::chunks(a.past) + certify_detail::chunks(a.segment));
}
template cudaError_t certify<__nv_bfloat16>(const CertifyArgs&, cudaStream_t);
template cudaError_t value_norms<__nv_bfloat16>(const void*, std::int64_t, std::int32_t, std::int32_t, std::int32_t,
                                                float*, cudaStream_t);
}  // namespace tca::cuda
