#include "cuda/smxx/score/certify.cuh"

namespace tca::cuda {
std::int64_t certify_partial_rows(const CertifyArgs& a) {
  return std::int64_t{a.num_rows} * a.num_heads *
         (certify_detail::chunks(a.past.k) + certify_detail::chunks(a.segment.k));
}
template cudaError_t certify<__nv_bfloat16>(const CertifyArgs&, cudaStream_t);
}  // namespace tca::cuda
