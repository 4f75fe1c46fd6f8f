// Decode attention over ragged pages. The pages of all sequences and KV heads form one list, cut into equal parts:
// every SM reads the same number of bytes, whatever the heads keep. Inside a block each warp is a pipeline of its own:
// it copies 16 keys and values at a time into its stages and multiplies them with the group's queries (padded to the 16
// rows of an mma), so the main loop has no block barrier.
#pragma once

#include <cmath>

#include "cuda/mma.cuh"
#include "cuda/smxx/decode/decode.h"
#include "cuda/smxx/decode/division.cuh"
#include "cuda/smxx/decode/merge.cuh"

namespace tca::cuda {
namespace decode_detail {

/// The part of one entry a block reads, and the state of the online softmax over a warp's share of it.
template <class C, class T>
struct Warp {
  static constexpr int kHeadDim = C::kHeadDim;
  using Rows = SwizzledRows<kHeadDim>;
  static constexpr int kChunks = kHeadDim / 8;
  T* stages;  // [kStages][2][16, d]
  int lane;
  std::uint32_t q[kHeadDim / 16][4];
  float out[kHeadDim / 8][4];
  float m[2], sum[2];

  __device__ void begin(const DecodeArgs& a, int sequence, int head, int row0, int rows, int g) {
    m[0] = m[1] = -INFINITY;
    sum[0] = sum[1] = 0.f;
#pragma unroll
    for (int i = 0; i < kHeadDim / 8; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) out[i][j] = 0.f;
#pragma unroll
    for (int x = 0; x < kHeadDim / 16; ++x)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = row0 + lane / 4 + (i & 1) * 8, column = x * 16 + (i >> 1) * 8 + (lane & 3) * 2;
        const T* src = static_cast<const T*>(a.q) +
                       (std::int64_t(sequence) * a.num_queries + row / g) * a.q_token_stride +
                       (std::int64_t(head) * g + row % g) * kHeadDim + column;
        q[x][i] = row < rows ? *reinterpret_cast<const std::uint32_t*>(src) : 0u;
      }
  }

  /// 16 keys and values of a page, from slot on; slots at or after length come as zeros (a page's unused slots may hold
  /// anything).
  __device__ __forceinline__ void copy(int stage, const T* page, int quarter, int valid) {
    T* dst = stages + stage * 2 * C::kUnitElements;
    const T* src = page + quarter * C::kUnitElements;
#pragma unroll
    for (int i = 0; i < C::kUnitElements / 8 / 32; ++i) {
      const int chunk = i * 32 + lane;
      const bool there = chunk / kChunks < valid;
      copy_async_16(dst + chunk * 8, src + chunk * 8, there);
      copy_async_16(dst + C::kUnitElements + chunk * 8, src + kPageSize * kHeadDim + chunk * 8, there);
    }
  }

  /// visible[r]: slots of this unit the lane's row r sees.
  __device__ __forceinline__ void multiply(int stage, const int (&visible)[2], float scale_log2) {
    const T* k = stages + stage * 2 * C::kUnitElements;
    const T* v = k + C::kUnitElements;
    float s[2][4] = {};
#pragma unroll
    for (int x = 0; x < kHeadDim / 16; ++x) {
      std::uint32_t b[4];
      ldmatrix_x4(b, k + Rows::offset((lane & 7) + ((lane >> 4) << 3), 2 * x + ((lane >> 3) & 1)));
      mma_16816<T>(s[0], q[x], b[0], b[1]);
      mma_16816<T>(s[1], q[x], b[2], b[3]);
    }
    float rescale[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = m[r];
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& x = s[n][2 * r + i];
          x = n * 8 + (lane & 3) * 2 + i < visible[r] ? x : -INFINITY;
          top = fmaxf(top, x);
        }
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
      const float base = top == -INFINITY ? 0.f : top * scale_log2;
      rescale[r] = exp2_fast(m[r] * scale_log2 - base);
      m[r] = top;
      sum[r] *= rescale[r];
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& x = s[n][2 * r + i];
          x = exp2_fast(fmaf(x, scale_log2, -base));
          sum[r] += x;
        }
    }
    const std::uint32_t p[4] = {pack_pair<T>(s[0][0], s[0][1]), pack_pair<T>(s[0][2], s[0][3]),
                                pack_pair<T>(s[1][0], s[1][1]), pack_pair<T>(s[1][2], s[1][3])};
#pragma unroll
    for (int n = 0; n < kHeadDim / 8; n += 2) {
      std::uint32_t b[4];
      ldmatrix_x4_transposed(b, v + Rows::offset((lane & 7) + (((lane >> 3) & 1) << 3), n + (lane >> 4)));
#pragma unroll
      for (int i = 0; i < 4; ++i) out[n][i] *= rescale[i >> 1], out[n + 1][i] *= rescale[i >> 1];
      mma_16816<T>(out[n], p, b[0], b[1]);
      mma_16816<T>(out[n + 1], p, b[2], b[3]);
    }
  }

  /// Units [0, count) of the block's pages [page0, ...) of an entry; this warp takes every kWarps-th.
  __device__ void walk(const DecodeArgs& a, int entry, int page0, int num_pages, int length, int row0, int g,
                       int warp) {
    const PagedSequence sequence = a.kv.sequences[entry / a.kv.num_kv_heads];
    const std::int32_t* table = sequence.table + std::int64_t(entry % a.kv.num_kv_heads) * sequence.max_pages + page0;
    const int last = min(length - page0 * kPageSize, num_pages * kPageSize);  // slots of this part
    const int mine = max(0, ((last + kUnitKeys - 1) / kUnitKeys - warp + C::kWarps - 1) / C::kWarps);
    const float scale_log2 = a.scale * kLog2E;
    int page_ids = 0;  // lane l: the page of unit number (issued & ~31) + l
    const auto issue = [&](int i) {
      if (i % 32 == 0 && i < mine) page_ids = i + lane < mine ? table[((i + lane) * C::kWarps + warp) / 4] : 0;
      const int page = __shfl_sync(0xffffffffu, page_ids, i % 32);
      if (i < mine) {
        const int unit = i * C::kWarps + warp;
        copy(i % C::kStages, static_cast<const T*>(a.kv.pool) + std::int64_t(page) * 2 * kPageSize * kHeadDim, unit % 4,
             last - unit * kUnitKeys);
      }
      copy_async_commit();
    };
    for (int i = 0; i < C::kStages - 1; ++i) issue(i);
    for (int i = 0; i < mine; ++i) {
      issue(i + C::kStages - 1);
      copy_async_wait<C::kStages - 1>();
      __syncwarp();
      const int slot = page0 * kPageSize + (i * C::kWarps + warp) * kUnitKeys;
      int visible[2];
#pragma unroll
      for (int r = 0; r < 2; ++r) visible[r] = length - a.num_queries + 1 + (row0 + lane / 4 + 8 * r) / g - slot;
      multiply(i % C::kStages, visible, scale_log2);
      __syncwarp();
    }
    copy_async_wait<0>();
  }

  /// Leaves the first `rows` rows of this warp's state in shared memory: [kRows][d] outputs, then maxima and sums.
  __device__ void leave(float* state, int rows) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
      sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
      const int row = lane / 4 + 8 * r;
      if (row >= rows) continue;
#pragma unroll
      for (int n = 0; n < kHeadDim / 8; ++n)
        *reinterpret_cast<float2*>(state + row * kHeadDim + n * 8 + (lane & 3) * 2) =
            float2{out[n][2 * r], out[n][2 * r + 1]};
      if ((lane & 3) == 0) state[kRows * kHeadDim + row] = m[r], state[kRows * (kHeadDim + 1) + row] = sum[r];
    }
  }
};

template <class C, class T>
__global__ void __launch_bounds__(C::kThreads, 1) decode_kernel(DecodeArgs a) {
  constexpr int kHeadDim = C::kHeadDim;
  constexpr int kState = kStateFloats<kHeadDim>;
  extern __shared__ __align__(128) std::uint8_t raw[];
  __shared__ bool last;
  T* stages = reinterpret_cast<T*>(raw);
  float* states = reinterpret_cast<float*>(raw);
  const int entries = a.kv.num_sequences * a.kv.num_kv_heads, g = a.num_heads / a.kv.num_kv_heads;
  int* prefix = reinterpret_cast<int*>(raw + C::kBytes);
  int* first_blocks = prefix + entries + 1;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row0 = blockIdx.y * kRows, all_rows = a.num_queries * g,
            rows = min(kRows, all_rows - row0);
  scan_pages<C::kThreads>(a.kv, entries, prefix);
  const Division division = divide<C::kThreads>(prefix, entries, first_blocks);
  for (int e = blockIdx.x; e < entries; e += gridDim.x) {
    if (prefix[e] < prefix[e + 1]) continue;
    for (int i = 4 * threadIdx.x; i < rows * kHeadDim; i += 4 * C::kThreads) {
      put<T>(a, e, row0 + i / kHeadDim, i % kHeadDim, float4{}, -INFINITY, 0.f);
    }
  }
  int page, end;
  division.range(blockIdx.x, prefix, entries, page, end);
  while (page < end) {
    const int entry = list_of(prefix, entries, page);
    const int count = min(end, prefix[entry + 1]) - page, page0 = page - prefix[entry];
    Warp<C, T> w{stages + warp * C::kStages * 2 * C::kUnitElements, lane};
    w.begin(a, entry / a.kv.num_kv_heads, entry % a.kv.num_kv_heads, row0, all_rows, g);
    w.walk(a, entry, page0, count, length_of(a.kv, entry), row0, g, warp);
    __syncthreads();
    w.leave(states + warp * kState, rows);
    __syncthreads();
    const int first = division.first_block(entry, prefix), splits = division.last_block(entry, prefix) - first + 1;
    if (splits == 1) {
      merge_warps<C, T>(a, states, entry, row0, rows, nullptr);
    } else {
      // Slot: block and entry numbers only grow along the list, so their sum names the pair.
      float* partial = a.partial + (std::int64_t(blockIdx.y) * (gridDim.x + entries) + first + entry) * kState;
      const int mine = static_cast<int>(blockIdx.x) - first;
      merge_warps<C, T>(a, states, entry, row0, rows, partial + std::int64_t(mine) * kState);
      __threadfence();
      __syncthreads();
      if (threadIdx.x == 0) {
        std::int32_t* counter = a.counters + blockIdx.y * entries + entry;
        last = atomicAdd(counter, 1) == splits - 1;
        if (last) *counter = 0;
      }
      __syncthreads();
      if (last) {
        __threadfence();
        merge_splits<C, T>(a, states, entry, row0, rows, partial, splits);
      }
    }
    __syncthreads();
    page += count;
  }
}

template <class C, class T>
cudaError_t launch(const DecodeArgs& a, cudaStream_t stream) {
  const int entries = a.kv.num_sequences * a.kv.num_kv_heads, rows = a.num_queries * (a.num_heads / a.kv.num_kv_heads);
  const int bytes = C::kBytes + 2 * (entries + 1) * 4;
  if (a.num_splits > kMostSplits) return cudaErrorInvalidValue;
  const auto kernel = decode_kernel<C, T>;
  if (const cudaError_t e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
      e != cudaSuccess)
    return e;
  kernel<<<dim3(a.num_splits, (rows + kRows - 1) / kRows), C::kThreads, bytes, stream>>>(a);
  return cudaGetLastError();
}

}  // namespace decode_detail

template <class T>
cudaError_t decode(const DecodeArgs& a, cudaStream_t stream) {
  using namespace decode_detail;
  int device = 0, there = 0;
  if (const cudaError_t e = cudaGetDevice(&device); e != cudaSuccess) return e;
  if (const cudaError_t e = cudaDeviceGetAttribute(&there, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
      e != cudaSuccess)
    return e;
  if (a.shared_bytes > 0) there = min(there, a.shared_bytes);
  constexpr int kLarge = 192;  // and the page counts
  cudaError_t result = cudaErrorInvalidValue;
  dispatch_head_dim(a.kv.head_dim, [&]<int kHeadDim>() {
    result = there > (kLarge + 8) * 1024 ? launch<Config<kHeadDim, kLarge>, T>(a, stream)
                                         : launch<Config<kHeadDim, 96>, T>(a, stream);
  });
  return result;
}

}  // namespace tca::cuda
