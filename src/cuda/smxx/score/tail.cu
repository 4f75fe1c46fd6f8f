#include "cuda/mma.cuh"
#include "cuda/smxx/score/tail.h"

namespace tca::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kPairs = 4;  // of elements, a lane: head_dim up to 256

/// Where chunk c of row r lies in a page, for any head_dim: SwizzledRows without a constant.
__device__ __forceinline__ int swizzled(int row, int chunk, int head_dim) {
  const int mask = head_dim / 8 % 8 == 0 ? 7 : 3;
  return row * head_dim + (chunk ^ (row & mask)) * 8;
}

__device__ __forceinline__ float2 load_pair(const void* data, std::int64_t i, bool is_bf16) {
  const std::uint32_t pair = *reinterpret_cast<const std::uint32_t*>(static_cast<const std::uint16_t*>(data) + i);
  return is_bf16 ? __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(pair))
                 : __half22float2(reinterpret_cast<const __half2&>(pair));
}

/// One warp a token: its key stays in registers, the queries pass by in order.
__global__ void __launch_bounds__(kWarps * 32) tail_kernel(const TailItem* items) {
  const TailItem item = items[blockIdx.y];
  const int token = blockIdx.x * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32, d = item.head_dim;
  if (token >= item.count) return;
  const int slot = item.first_slot + token, row = slot % kPageSize;
  const std::int64_t page = std::int64_t(item.table[slot / kPageSize]) * 2 * kPageSize * d;
  float2 key[kPairs] = {};
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    const int e = 2 * (lane + 32 * i);
    if (e < d) key[i] = load_pair(item.pool, page + swizzled(row, e / 8, d) + e % 8, item.is_bf16);
  }
  float sum = 0.f;
  for (int p = 0; p < item.num_queries; ++p) {
    for (int head = item.first_head; head < item.first_head + item.group; ++head) {
      float dot = 0.f;
#pragma unroll
      for (int i = 0; i < kPairs; ++i) {
        const int e = 2 * (lane + 32 * i);
        if (e >= d) continue;
        const float2 q = load_pair(item.q, p * item.q_token_stride + std::int64_t(head) * d + e, item.is_bf16);
        dot = fmaf(q.x, key[i].x, fmaf(q.y, key[i].y, dot));
      }
      for (int step = 16; step > 0; step /= 2) dot += __shfl_xor_sync(0xffffffffu, dot, step);
      sum += expf(dot * item.scale - item.lse[std::int64_t(p) * item.num_heads + head]);
    }
  }
  if (lane == 0) item.out[token] = sum / static_cast<float>(item.num_queries * item.group);
}

}  // namespace

cudaError_t tail_scores(const TailItem* items, std::int32_t num_items, std::int32_t most_tokens, cudaStream_t stream) {
  if (num_items == 0 || most_tokens == 0) return cudaSuccess;
  const dim3 grid((most_tokens + kWarps - 1) / kWarps, num_items);
  tail_kernel<<<grid, kWarps * 32, 0, stream>>>(items);
  return cudaGetLastError();
}

}  // namespace tca::cuda
