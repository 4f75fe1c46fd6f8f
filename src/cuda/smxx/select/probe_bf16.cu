#include "cuda/smxx/select/probe.cuh"

namespace tca::cuda {
std::int64_t probe_partial_floats(const ProbeArgs& a) {
  const std::int64_t rows =
      std::min<std::int64_t>(std::int64_t{a.num_probes} * (a.num_heads / a.num_kv_heads), probe_detail::kMaxRows<64>);
  return a.num_kv_heads * 2 * rows * (probe_detail::chunks(a.past) + probe_detail::chunks(a.segment));
}
template cudaError_t probe<__nv_bfloat16>(const ProbeArgs&, cudaStream_t);
}  // namespace tca::cuda
