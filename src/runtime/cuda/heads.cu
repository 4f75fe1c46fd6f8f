// From the qkv product to heads: bias, norm, rotation, and where q, k and v belong. A thread takes 16 elements of a
// head (eight of each half, so that both partners of every rotated pair are its own), d / 16 threads a head.
#include <bit>

#include "cuda/mma.cuh"
#include "runtime/cuda/bf16.cuh"
#include "runtime/cuda/kernels.h"

namespace tca::runtime::gpu {
namespace {

constexpr int kThreads = 256;

/// Threads of a head: d / 16, for d = 96 two more that idle, so that a head never straddles two warps.
template <int kHeadDim>
constexpr int kLanes = static_cast<int>(std::bit_ceil(static_cast<unsigned>(kHeadDim / 16)));

struct HeadPart {
  Floats8 low, high;  // elements 8 lane + [0, 8) of the first and of the second half
};

/// The thread's part of head `head` of a row's q, k and v, ready for use. All threads of the warp must come along.
template <int kHeadDim>
__device__ __forceinline__ HeadPart finish_head(const HeadArgs& a, std::int64_t row, int head, int lane,
                                                std::int64_t position, bool active) {
  constexpr int kChunks = kHeadDim / 8, kHalf = kChunks / 2;
  HeadPart x = {};
  if (active) {
    const std::int64_t at = (row * (a.num_heads + 2 * a.num_kv_heads) + head) * kChunks + lane;
    x = {load8(a.qkv, at), load8(a.qkv, at + kHalf)};
    if (a.bias != nullptr) {
      const Floats8 low = load8(a.bias, head * kChunks + lane), high = load8(a.bias, head * kChunks + kHalf + lane);
#pragma unroll
      for (int i = 0; i < 8; ++i) x.low.value[i] += low.value[i], x.high.value[i] += high.value[i];
    }
  }
  const float* norm = head < a.num_heads ? a.q_norm : a.k_norm;
  if (a.q_norm != nullptr && a.row_scales != nullptr) {
    if (active && head < a.num_heads + a.num_kv_heads) {
      const bool is_k = head >= a.num_heads;
      const float scale = a.row_scales[2 * row + is_k];
      const int first = (is_k ? head - a.num_heads : head) * kChunks + lane;
      const Floats8 low = load8(norm, first), high = load8(norm, first + kHalf);
#pragma unroll
      for (int i = 0; i < 8; ++i) x.low.value[i] *= scale * low.value[i], x.high.value[i] *= scale * high.value[i];
    }
  } else if (a.q_norm != nullptr) {  // the model has norms or not: the same for the whole grid
    float sum = 0.f;
#pragma unroll
    for (int i = 0; i < 8; ++i) sum += x.low.value[i] * x.low.value[i] + x.high.value[i] * x.high.value[i];
#pragma unroll
    for (int step = kLanes<kHeadDim> / 2; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (active && head < a.num_heads + a.num_kv_heads) {
      const float scale = rsqrtf(sum / kHeadDim + a.eps);
      const Floats8 low = load8(norm, lane), high = load8(norm, kHalf + lane);
#pragma unroll
      for (int i = 0; i < 8; ++i) x.low.value[i] *= scale * low.value[i], x.high.value[i] *= scale * high.value[i];
    }
  }
  if (active && head < a.num_heads + a.num_kv_heads) {
    const float factor = head < a.num_heads ? a.q_factor : 1.f;
    const Floats8 cos = load8(a.cos, position * kHalf + lane), sin = load8(a.sin, position * kHalf + lane);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float low = x.low.value[i] * factor, high = x.high.value[i] * factor;
      x.low.value[i] = low * cos.value[i] - high * sin.value[i];
      x.high.value[i] = high * cos.value[i] + low * sin.value[i];
    }
  }
  return x;
}

/// The row and head of a thread, over all heads of all rows.
template <int kHeadDim>
struct Place {
  std::int64_t row;
  int head, lane;
  bool active;
  __device__ __forceinline__ explicit Place(const HeadArgs& a) {
    const std::int64_t item = (std::int64_t(blockIdx.x) * kThreads + threadIdx.x) / kLanes<kHeadDim>;
    const int heads = a.num_heads + 2 * a.num_kv_heads;
    row = item / heads;
    head = static_cast<int>(item - row * heads);
    lane = threadIdx.x % kLanes<kHeadDim>;
    active = row < a.rows && lane < kHeadDim / 16;
  }
};

template <int kHeadDim>
__device__ __forceinline__ void put(void* to, std::int64_t head, int lane, const HeadPart& x) {
  constexpr int kChunks = kHeadDim / 8;
  store8(to, head * kChunks + lane, x.low);
  store8(to, head * kChunks + kChunks / 2 + lane, x.high);
}

/// A block a row: 1 / rms of its q, then of its k.
__global__ void __launch_bounds__(kThreads) scale_rows_kernel(HeadArgs a) {
  const std::int64_t row = blockIdx.x;
  const int q_chunks = a.num_heads * a.head_dim / 8, k_chunks = a.num_kv_heads * a.head_dim / 8;
  const std::int64_t row_chunks = q_chunks + 2 * std::int64_t(k_chunks);
  __shared__ float sums[2][kThreads / 32];
  for (int part = 0; part < 2; ++part) {
    float sum = 0.f;
    for (int c = threadIdx.x; c < (part == 0 ? q_chunks : k_chunks); c += kThreads) {
      const int at = part * q_chunks + c;
      Floats8 x = load8(a.qkv, row * row_chunks + at);
      if (a.bias != nullptr) {
        const Floats8 more = load8(a.bias, at);
#pragma unroll
        for (int i = 0; i < 8; ++i) x.value[i] += more.value[i];
      }
#pragma unroll
      for (int i = 0; i < 8; ++i) sum += x.value[i] * x.value[i];
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (threadIdx.x % 32 == 0) sums[part][threadIdx.x / 32] = sum;
  }
  __syncthreads();
  if (threadIdx.x >= 2) return;
  float total = 0.f;
#pragma unroll
  for (int w = 0; w < kThreads / 32; ++w) total += sums[threadIdx.x][w];
  const int width = 8 * (threadIdx.x == 0 ? q_chunks : k_chunks);
  a.row_scales[2 * row + threadIdx.x] = rsqrtf(total / width + a.eps);
}

template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) split_segment_kernel(SegmentHeads s) {
  const HeadArgs& a = s.heads;
  Place<kHeadDim> p(a);
  if (p.head < a.num_heads && p.row < s.skip_q) p.active = false;
  const HeadPart x = finish_head<kHeadDim>(a, p.row, p.head, p.lane, s.first_position + p.row, p.active);
  if (!p.active) return;
  const int kv_head = p.head - a.num_heads;
  if (kv_head < 0) {
    put<kHeadDim>(s.q, (p.row - s.skip_q) * a.num_heads + p.head, p.lane, x);
  } else if (kv_head < a.num_kv_heads) {
    put<kHeadDim>(s.k, p.row * a.num_kv_heads + kv_head, p.lane, x);
  } else {
    put<kHeadDim>(s.v, p.row * a.num_kv_heads + kv_head - a.num_kv_heads, p.lane, x);
  }
}

template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) split_tokens_kernel(TokenHeads s) {
  using Rows = cuda::SwizzledRows<kHeadDim>;
  const HeadArgs& a = s.heads;
  const Place<kHeadDim> p(a);
  const std::int64_t position = p.active ? s.positions[p.row] : 0;
  const HeadPart x = finish_head<kHeadDim>(a, p.row, p.head, p.lane, position, p.active);
  if (!p.active) return;
  int kv_head = p.head - a.num_heads;
  if (kv_head < 0) {
    put<kHeadDim>(s.q, p.row * a.num_heads + p.head, p.lane, x);
    const Probe probe = s.probes[p.row];
    if (probe.queries != nullptr) put<kHeadDim>(probe.queries, s.slots[p.row] * a.num_heads + p.head, p.lane, x);
    return;
  }
  const bool is_v = kv_head >= a.num_kv_heads;
  if (is_v) kv_head -= a.num_kv_heads;
  const cuda::PagedSequence sequence = s.kv.sequences[p.row];
  const int slot = sequence.lengths[kv_head] - 1;
  const std::int64_t page = sequence.table[std::int64_t(kv_head) * sequence.max_pages + slot / cuda::kPageSize];
  auto* const rows = static_cast<__nv_bfloat16*>(s.kv.pool) + (2 * page + is_v) * cuda::kPageSize * kHeadDim;
  *reinterpret_cast<uint4*>(rows + Rows::offset(slot % cuda::kPageSize, p.lane)) = pack(x.low);
  *reinterpret_cast<uint4*>(rows + Rows::offset(slot % cuda::kPageSize, kHeadDim / 16 + p.lane)) = pack(x.high);
}

__global__ void __launch_bounds__(kThreads)
    collect_lse_kernel(const float* lse, const Probe* probes, const std::int64_t* slots, int num_heads) {
  const int row = blockIdx.x;
  float* const to = probes[row].lse;
  if (to == nullptr) return;
  for (int h = threadIdx.x; h < num_heads; h += kThreads) {
    to[slots[row] * num_heads + h] = lse[std::int64_t(row) * num_heads + h];
  }
}

template <int kHeadDim>
unsigned grid(const HeadArgs& a) {
  const std::int64_t threads = a.rows * (a.num_heads + 2 * a.num_kv_heads) * kLanes<kHeadDim>;
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

}  // namespace

cudaError_t scale_rows(const HeadArgs& args, cudaStream_t stream) {
  scale_rows_kernel<<<static_cast<unsigned>(args.rows), kThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

cudaError_t split_segment(const SegmentHeads& args, cudaStream_t stream) {
  const bool known = cuda::dispatch_head_dim(args.heads.head_dim, [&]<int kHeadDim>() {
    split_segment_kernel<kHeadDim><<<grid<kHeadDim>(args.heads), kThreads, 0, stream>>>(args);
  });
  return known ? cudaGetLastError() : cudaErrorInvalidValue;
}

cudaError_t split_tokens(const TokenHeads& args, cudaStream_t stream) {
  const bool known = cuda::dispatch_head_dim(args.heads.head_dim, [&]<int kHeadDim>() {
    split_tokens_kernel<kHeadDim><<<grid<kHeadDim>(args.heads), kThreads, 0, stream>>>(args);
  });
  return known ? cudaGetLastError() : cudaErrorInvalidValue;
}

cudaError_t collect_lse(const float* lse, const Probe* probes, const std::int64_t* slots, std::int64_t rows,
                        std::int32_t num_heads, cudaStream_t stream) {
  collect_lse_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(lse, probes, slots, num_heads);
  return cudaGetLastError();
}

}  // namespace tca::runtime::gpu
