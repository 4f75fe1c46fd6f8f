// Products of a few rows, bound by reading the weight: a warp takes a column of the result (a row of the weight) and
// streams it in 16-byte loads, many in flight; the rows of x come from L1.
#include "runtime/cuda/bf16.cuh"
#include "runtime/cuda/kernels.h"

namespace tca::runtime::gpu {
namespace {

constexpr int kWarps = 8;
constexpr int kInFlight = 8;  // 16-byte loads of one lane: 64 KiB and more of an SM's warps, 26 KiB cover the latency

/// Read once: past L1, and not kept.
__device__ __forceinline__ uint4 stream_load(const uint4* address) {
  uint4 r;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(r.x), "=r"(r.y), "=r"(r.z), "=r"(r.w)
               : "l"(address));
  return r;
}

template <int kRows>
__device__ __forceinline__ void multiply(const SkinnyProduct& a, std::int64_t chunk, const uint4& raw,
                                         float (&sums)[kRows]) {
  const Floats8 w = unpack(raw);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const Floats8 x = load8(a.x, r * (a.x_stride / 8) + chunk);
#pragma unroll
    for (int i = 0; i < 8; ++i) sums[r] += w.value[i] * x.value[i];
  }
}

template <int kRows>
__global__ void __launch_bounds__(kWarps * 32) skinny_kernel(SkinnyProduct a) {
  const std::int64_t column = std::int64_t(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (column >= a.columns) return;
  const int lane = threadIdx.x % 32;
  const std::int64_t chunks = a.in / 8;
  const uint4* const weight = static_cast<const uint4*>(a.weight) + column * chunks;
  float sums[kRows] = {};
  std::int64_t c = lane;
  for (; c + 32 * (kInFlight - 1) < chunks; c += 32 * kInFlight) {
    uint4 raw[kInFlight];
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) raw[i] = stream_load(weight + c + 32 * i);
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) multiply<kRows>(a, c + 32 * i, raw[i], sums);
  }
  for (; c < chunks; c += 32) multiply<kRows>(a, c, stream_load(weight + c), sums);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sums[r] += __shfl_xor_sync(0xffffffffu, sums[r], step);
  }
  if (lane != 0) return;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const std::int64_t at = r * a.out_stride + column;
    if (a.out_fp32) {
      float* const out = static_cast<float*>(a.out) + at;
      *out = a.add ? *out + sums[r] : sums[r];
    } else {
      static_cast<__nv_bfloat16*>(a.out)[at] = __float2bfloat16_rn(sums[r]);
    }
  }
}

template <int kRows>
cudaError_t launch(const SkinnyProduct& a, cudaStream_t stream) {
  if constexpr (kRows > 1) {
    if (a.rows < kRows) return launch<kRows - 1>(a, stream);
  }
  skinny_kernel<kRows><<<static_cast<unsigned>((a.columns + kWarps - 1) / kWarps), kWarps * 32, 0, stream>>>(a);
  return cudaGetLastError();
}

}  // namespace

cudaError_t skinny_product(const SkinnyProduct& args, cudaStream_t stream) {
  return launch<static_cast<int>(kMaxSkinnyRows)>(args, stream);
}

}  // namespace tca::runtime::gpu
