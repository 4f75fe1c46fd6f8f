#include "cuda/smxx/decode/decode.cuh"

namespace tca::cuda {

cudaError_t decode_splits(std::int32_t* num_splits) {
  int device = 0;
  if (const cudaError_t e = cudaGetDevice(&device); e != cudaSuccess) return e;
  return cudaDeviceGetAttribute(num_splits, cudaDevAttrMultiProcessorCount, device);
}

std::int64_t decode_partial_floats(const DecodeArgs& a) {
  const std::int64_t entries = std::int64_t{a.kv.num_sequences} * a.kv.num_kv_heads;
  const std::int64_t rows = std::int64_t{a.num_queries} * (a.num_heads / a.kv.num_kv_heads);
  constexpr int kRows = decode_detail::kRows;
  return (rows + kRows - 1) / kRows * (a.num_splits + entries) * kRows * (a.kv.head_dim + 2);
}

std::int64_t decode_counters(const DecodeArgs& a) {
  const std::int64_t rows = std::int64_t{a.num_queries} * (a.num_heads / a.kv.num_kv_heads);
  return (rows + decode_detail::kRows - 1) / decode_detail::kRows * a.kv.num_sequences * a.kv.num_kv_heads;
}

template cudaError_t decode<__nv_bfloat16>(const DecodeArgs&, cudaStream_t);

}  // namespace tca::cuda
