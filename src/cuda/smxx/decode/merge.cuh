// The states of online softmaxes over parts of an entry's keys, merged in a fixed order: warps of a block, then blocks.
#pragma once

#include <cmath>

#include "cuda/mma.cuh"
#include "cuda/smxx/decode/config.cuh"
#include "cuda/smxx/decode/decode.h"

namespace tca::cuda::decode_detail {

/// Size of one split's result: rows [kRows, d], their maxima, their sums.
template <int kHeadDim>
constexpr int kStateFloats = kRows*(kHeadDim + 2);

/// Four elements of an output row, of weighted sums `value` and weights' sum `sum`.
template <class T>
__device__ __forceinline__ void put(const DecodeArgs& a, int entry, int row, int dim, float4 value, float top,
                                    float sum) {
  const int g = a.num_heads / a.kv.num_kv_heads, head = entry % a.kv.num_kv_heads * g + row % g;
  const std::int64_t token = std::int64_t(entry / a.kv.num_kv_heads) * a.num_queries + row / g;
  const float scale = sum > 0.f ? 1.f / sum : 0.f;
  T* out = static_cast<T*>(a.out) + token * a.out_token_stride + std::int64_t(head) * a.kv.head_dim + dim;
  *reinterpret_cast<uint2*>(out) =
      uint2{pack_pair<T>(value.x * scale, value.y * scale), pack_pair<T>(value.z * scale, value.w * scale)};
  if (a.lse != nullptr && dim == 0) {
    a.lse[token * a.num_heads + head] = sum > 0.f ? top * a.scale + logf(sum) : -INFINITY;
  }
}

__device__ __forceinline__ void add_weighted(float4& sum, float weight, float4 x) {
  sum.x += weight * x.x, sum.y += weight * x.y, sum.z += weight * x.z, sum.w += weight * x.w;
}

/// The warps' states (shared memory) to one: the entry's output when this block read all of it, else a partial result.
template <class C, class T>
__device__ void merge_warps(const DecodeArgs& a, const float* states, int entry, int row0, int rows, float* partial) {
  constexpr int kHeadDim = C::kHeadDim;
  constexpr int kState = kStateFloats<kHeadDim>;
  __shared__ float weights[kRows][C::kWarps], tops[kRows], totals[kRows];
  if (threadIdx.x < kRows * C::kWarps) {  // whole warps, though not all rows need be there
    const int row = threadIdx.x / C::kWarps, x = threadIdx.x % C::kWarps;
    const float* m = states + x * kState + kRows * kHeadDim + min(row, rows - 1);
    float top = *m;
    for (int step = 1; step < C::kWarps; step *= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
    const float weight = top == -INFINITY ? 0.f : exp2_fast((*m - top) * a.scale * kLog2E);
    float total = weight * m[kRows];
    for (int step = 1; step < C::kWarps; step *= 2) total += __shfl_xor_sync(0xffffffffu, total, step);
    weights[row][x] = weight;
    if (x == 0) tops[row] = top, totals[row] = total;
  }
  __syncthreads();
  for (int i = 4 * threadIdx.x; i < rows * kHeadDim; i += 4 * C::kThreads) {
    const int row = i / kHeadDim;
    float4 value{};
#pragma unroll
    for (int x = 0; x < C::kWarps; ++x) {
      add_weighted(value, weights[row][x], *reinterpret_cast<const float4*>(states + x * kState + i));
    }
    if (partial == nullptr) {
      put<T>(a, entry, row0 + row, i % kHeadDim, value, tops[row], totals[row]);
    } else {
      *reinterpret_cast<float4*>(partial + i) = value;
    }
  }
  if (partial != nullptr && threadIdx.x < rows) {
    partial[kRows * kHeadDim + threadIdx.x] = tops[threadIdx.x];
    partial[kRows * (kHeadDim + 1) + threadIdx.x] = totals[threadIdx.x];
  }
}

/// The splits' partial results of one entry, in their order. By the block that finished last; `shared` takes the
/// weights [rows, splits] and behind them the sums of all but the first share of the splits. The results come from
/// other SMs: past L1.
template <class C, class T>
__device__ void merge_splits(const DecodeArgs& a, float* shared, int entry, int row0, int rows, const float* partial,
                             int splits) {
  constexpr int kHeadDim = C::kHeadDim;
  constexpr int kState = kStateFloats<kHeadDim>;
  __shared__ float tops[kRows], totals[kRows];
  float* weights = shared;
  float4* sums = reinterpret_cast<float4*>(shared + kRows * kMostSplits);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const float scale_log2 = a.scale * kLog2E;
  for (int row = warp; row < rows; row += C::kWarps) {
    const float* maxima = partial + kRows * kHeadDim + row;
    float top = -INFINITY, total = 0.f;
#pragma unroll 4
    for (int x = lane; x < splits; x += 32) {
      const float m = __ldcg(maxima + std::int64_t(x) * kState),
                  sum = __ldcg(maxima + std::int64_t(x) * kState + kRows);
      const float higher = fmaxf(top, m);
      weights[row * splits + x] = m;
      if (higher == -INFINITY) continue;
      total = total * exp2_fast((top - higher) * scale_log2) + sum * exp2_fast((m - higher) * scale_log2);
      top = higher;
    }
    for (int step = 16; step > 0; step /= 2) {
      const float other = __shfl_xor_sync(0xffffffffu, top, step), sum = __shfl_xor_sync(0xffffffffu, total, step);
      const float higher = fmaxf(top, other);
      if (higher == -INFINITY) continue;  // the same for both lanes of a pair, and both states are empty
      total = total * exp2_fast((top - higher) * scale_log2) + sum * exp2_fast((other - higher) * scale_log2);
      top = higher;
    }
    __syncwarp();
    for (int x = lane; x < splits; x += 32) {
      float& weight = weights[row * splits + x];
      weight = top == -INFINITY ? 0.f : exp2_fast((weight - top) * scale_log2);
    }
    if (lane == 0) tops[row] = top, totals[row] = total;
  }
  __syncthreads();
  // Threads left over take shares of the splits: the loads of one thread wait for each other's memory latency.
  const int columns = rows * kHeadDim / 4, shares = max(1, C::kThreads / columns);
  const int per_share = (splits + shares - 1) / shares;
  for (int item = threadIdx.x; item < columns * shares; item += C::kThreads) {
    const int column = item % columns, share = item / columns, row = 4 * column / kHeadDim;
    float4 value{};
    const int end = min(splits, (share + 1) * per_share);
#pragma unroll 16
    for (int x = share * per_share; x < end; ++x) {
      const float4* from = reinterpret_cast<const float4*>(partial + std::int64_t(x) * kState) + column;
      add_weighted(value, weights[row * splits + x], __ldcg(from));
    }
    sums[item] = value;
  }
  __syncthreads();
  for (int column = threadIdx.x; column < columns; column += C::kThreads) {
    float4 value = sums[column];
    for (int share = 1; share < shares; ++share) add_weighted(value, 1.f, sums[share * columns + column]);
    const int row = 4 * column / kHeadDim;
    put<T>(a, entry, row0 + row, 4 * column % kHeadDim, value, tops[row], totals[row]);
  }
}

}  // namespace tca::cuda::decode_detail
