// The MLP of layers with experts: routing, rows gathered and combined, products of few rows.
#include "runtime/cuda/bf16.cuh"
#include "runtime/cuda/kernels.h"

namespace tca::runtime::gpu {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = 8;

struct Best {
  float value;
  int index;
};
/// The larger of two, ties to the lower index.
__device__ __forceinline__ Best better(Best a, Best b) {
  return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

/// A warp a row. NaNs are never better; what is chosen is an expert whatever the logits are.
__global__ void __launch_bounds__(32) route_kernel(Routing a) {
  extern __shared__ float logits[];  // [experts]
  __shared__ Best found[kMostChosen];
  const std::int64_t row = blockIdx.x;
  const int lane = threadIdx.x;
  for (int e = lane; e < a.experts; e += 32) logits[e] = a.logits[row * a.experts + e];
  __syncwarp();
  for (int j = 0; j < a.count; ++j) {
    Best best = {-INFINITY, lane < a.experts ? lane : 0};
    for (int e = lane; e < a.experts; e += 32) best = better(best, {logits[e], e});
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
      best = better(best,
                    {__shfl_xor_sync(0xffffffffu, best.value, step), __shfl_xor_sync(0xffffffffu, best.index, step)});
    }
    if (lane == 0) {
      found[j] = best;
      logits[best.index] = -INFINITY;
    }
    __syncwarp();
  }
  const float top = found[0].value;
  float sum = 0.f;
  if (a.renormalise) {
    for (int j = 0; j < a.count; ++j) sum += expf(found[j].value - top);
  } else {
    for (int e = lane; e < a.experts; e += 32) sum += expf(a.logits[row * a.experts + e] - top);
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  }
  if (lane >= a.count) return;
  int place = 0;  // among the chosen, by index
  for (int j = 0; j < a.count; ++j) {
    place += found[j].index < found[lane].index || (found[j].index == found[lane].index && j < lane);
  }
  a.chosen[row * a.count + place] = found[lane].index;
  a.shares[row * a.count + place] = expf(found[lane].value - top) / sum;
}

/// A warp a column of a slot.
__global__ void __launch_bounds__(kWarps * 32) expert_product_kernel(ExpertProduct a) {
  const std::int64_t column = std::int64_t(blockIdx.x) * kWarps + threadIdx.x / 32, slot = blockIdx.y;
  if (column >= a.columns) return;
  const int lane = threadIdx.x % 32;
  const std::int64_t chunks = a.in / 8, expert = a.chosen[slot];
  const std::int64_t weight = (expert * a.columns + column) * chunks;
  const std::int64_t x = slot / a.slots_of_row * (a.x_stride / 8);
  float sum = 0.f;
#pragma unroll 4
  for (std::int64_t c = lane; c < chunks; c += 32) {
    const Floats8 w = load8(a.weight, weight + c), v = load8(a.x, x + c);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum += w.value[i] * v.value[i];
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  if (lane != 0) return;
  const std::int64_t at = slot * a.columns + column;
  if (a.out_fp32) {
    static_cast<float*>(a.out)[at] = sum;
  } else {
    static_cast<__nv_bfloat16*>(a.out)[at] = __float2bfloat16_rn(sum);
  }
}

__global__ void __launch_bounds__(kThreads)
    gather_rows_kernel(const void* x, const std::int32_t* rows, void* out, int chunks) {
  const std::int64_t slot = blockIdx.x, row = rows[slot];
  for (int c = threadIdx.x; c < chunks; c += kThreads) {
    static_cast<uint4*>(out)[slot * chunks + c] =
        row < 0 ? make_uint4(0, 0, 0, 0) : static_cast<const uint4*>(x)[row * chunks + c];
  }
}

__global__ void __launch_bounds__(kThreads) combine_kernel(Combination a) {
  const std::int64_t row = blockIdx.x;
  const int chunks = a.width / 8;
  for (int c = threadIdx.x; c < chunks; c += kThreads) {
    Floats8 sum = {};
    for (int j = 0; j < a.count; ++j) {
      const std::int64_t at = row * a.count + j, slot = a.slots == nullptr ? at : a.slots[at];
      const float share = a.shares[at];
      const Floats8 part = load8(a.values, slot * chunks + c);
#pragma unroll
      for (int i = 0; i < 8; ++i) sum.value[i] += share * part.value[i];
    }
    Floats8 to = {};
    if (a.add) to = load8(a.out, row * chunks + c);
#pragma unroll
    for (int i = 0; i < 8; ++i) to.value[i] += a.factor * sum.value[i];
    store8(a.out, row * chunks + c, to);
  }
}

}  // namespace

cudaError_t route(const Routing& args, cudaStream_t stream) {
  const std::size_t bytes = static_cast<std::size_t>(args.experts) * sizeof(float);
  route_kernel<<<static_cast<unsigned>(args.rows), 32, bytes, stream>>>(args);
  return cudaGetLastError();
}

cudaError_t expert_product(const ExpertProduct& args, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((args.columns + kWarps - 1) / kWarps), static_cast<unsigned>(args.slots));
  expert_product_kernel<<<grid, kWarps * 32, 0, stream>>>(args);
  return cudaGetLastError();
}

cudaError_t gather_rows(const void* x, const std::int32_t* rows, void* out, std::int64_t slots, std::int32_t width,
                        cudaStream_t stream) {
  gather_rows_kernel<<<static_cast<unsigned>(slots), kThreads, 0, stream>>>(x, rows, out, width / 8);
  return cudaGetLastError();
}

cudaError_t combine(const Combination& args, cudaStream_t stream) {
  combine_kernel<<<static_cast<unsigned>(args.rows), kThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace tca::runtime::gpu
