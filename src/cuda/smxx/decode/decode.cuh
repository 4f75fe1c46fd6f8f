// Decode attention over ragged pages. The pages of all sequences and KV heads form one list, cut into equal parts:
// every SM reads the same number of bytes, whatever the heads keep. Inside a block each warp is a pipeline of its own:
// it copies 16 keys and values at a time into its stages and multiplies them with the group's queries (padded to the 16
// rows of an mma), so the main loop has no block barrier.
#pragma once

#include <cmath>

#include "cuda/mma.cuh"
#include "cuda/smxx/decode/decode.h"

namespace tca::cuda {
namespace decode_detail {

constexpr int kRows = 16;      // query rows of a block: n g, padded; more rows take more blocks (blockIdx.y)
constexpr int kUnitKeys = 16;  // keys a warp takes at a time

template <int kHeadDim>
struct Config {
  static constexpr int kWarps = kHeadDim <= 128 ? 8 : 4;
  static constexpr int kThreads = kWarps * 32;
  static constexpr int kUnitElements = kUnitKeys * kHeadDim;  // of K; V follows
  // As many stages as fit in 192 KB: 24 KB a warp in flight keep 4.3 TB/s busy at 800 ns latency with room to spare.
  static constexpr int kStages = (192 * 1024) / (kWarps * kUnitElements * 4) > 6
                                     ? 6
                                     : (192 * 1024) / (kWarps * kUnitElements * 4);
  static constexpr int kBytes = kWarps * kStages * kUnitElements * 4;
  static_assert(kStages >= 2);
  // The stages are reused to merge the warps' outputs.
  static_assert(kBytes >= kWarps * kRows * (kHeadDim + 2) * 4);
  static_assert(kBytes >= kRows * 1024 * 4, "weights of as many splits as any GPU has SMs");
};

__device__ __forceinline__ int pages_of(int length) { return (length + kPageSize - 1) / kPageSize; }

__device__ __forceinline__ int length_of(const PagedLayer& kv, int entry) {
  return kv.sequences[entry / kv.num_kv_heads].lengths[entry % kv.num_kv_heads];
}

/// Exclusive prefix of page counts over all (sequence, head) entries, into shared memory [entries + 1].
template <int kThreads>
__device__ void scan_pages(const PagedLayer& kv, int entries, int* prefix) {
  __shared__ int warp_totals[kThreads / 32];
  __shared__ int carry;
  if (threadIdx.x == 0) carry = 0, prefix[0] = 0;
  __syncthreads();
  for (int base = 0; base < entries; base += kThreads) {
    const int e = base + threadIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int x = e < entries ? pages_of(length_of(kv, e)) : 0;
    for (int step = 1; step < 32; step *= 2) {
      const int y = __shfl_up_sync(0xffffffffu, x, step);
      if (lane >= step) x += y;
    }
    if (lane == 31) warp_totals[warp] = x;
    __syncthreads();
    int before = carry;
    for (int w = 0; w < warp; ++w) before += warp_totals[w];
    if (e < entries) prefix[e + 1] = before + x;
    __syncthreads();
    if (threadIdx.x == kThreads - 1) carry = before + x;
    __syncthreads();
  }
}

/// The part of one entry a block reads, and the state of the online softmax over a warp's share of it.
template <int kHeadDim, class T>
struct Warp {
  using C = Config<kHeadDim>;
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

  /// Leaves this warp's state in shared memory: [kRows][d] outputs, then maxima and sums.
  __device__ void leave(float* state) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
      sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
      const int row = lane / 4 + 8 * r;
#pragma unroll
      for (int n = 0; n < kHeadDim / 8; ++n)
        *reinterpret_cast<float2*>(state + row * kHeadDim + n * 8 + (lane & 3) * 2) =
            float2{out[n][2 * r], out[n][2 * r + 1]};
      if ((lane & 3) == 0) state[kRows * kHeadDim + row] = m[r], state[kRows * (kHeadDim + 1) + row] = sum[r];
    }
  }
};

/// Size of one split's result: rows [kRows, d], their maxima, their sums.
template <int kHeadDim>
constexpr int kStateFloats = kRows*(kHeadDim + 2);

template <class T>
__device__ __forceinline__ void put(const DecodeArgs& a, int entry, int row, int dim, int head_dim, float value,
                                    float top, float sum) {
  const int g = a.num_heads / a.kv.num_kv_heads, head = entry % a.kv.num_kv_heads * g + row % g;
  const std::int64_t token = std::int64_t(entry / a.kv.num_kv_heads) * a.num_queries + row / g;
  static_cast<T*>(a.out)[token * a.out_token_stride + std::int64_t(head) * head_dim + dim] =
      static_cast<T>(sum > 0.f ? value / sum : 0.f);
  if (a.lse != nullptr && dim == 0) {
    a.lse[token * a.num_heads + head] = sum > 0.f ? top * a.scale + logf(sum) : -INFINITY;
  }
}

/// The warps' states (shared memory) to one: the entry's output when this block read all of it, else a partial result.
template <int kHeadDim, class T>
__device__ void merge_warps(const DecodeArgs& a, const float* states, int entry, int row0, int rows, float* partial) {
  using C = Config<kHeadDim>;
  constexpr int kState = kStateFloats<kHeadDim>;
  for (int i = threadIdx.x; i < rows * kHeadDim; i += C::kThreads) {
    const int row = i / kHeadDim;
    float top = -INFINITY;
    for (int x = 0; x < C::kWarps; ++x) top = fmaxf(top, states[x * kState + kRows * kHeadDim + row]);
    float value = 0.f, total = 0.f;
    for (int x = 0; x < C::kWarps; ++x) {
      const float* state = states + x * kState;
      const float weight = top == -INFINITY ? 0.f : exp2_fast((state[kRows * kHeadDim + row] - top) * a.scale * kLog2E);
      value += weight * state[i];
      total += weight * state[kRows * (kHeadDim + 1) + row];
    }
    if (partial == nullptr) {
      put<T>(a, entry, row0 + row, i % kHeadDim, kHeadDim, value, top, total);
      continue;
    }
    partial[i] = value;
    if (i % kHeadDim == 0) partial[kRows * kHeadDim + row] = top, partial[kRows * (kHeadDim + 1) + row] = total;
  }
}

/// The splits' partial results of one entry, in their order. By the block that finished last; weights in shared memory
/// [rows, splits]. The results come from other SMs: past L1.
template <int kHeadDim, class T>
__device__ void merge_splits(const DecodeArgs& a, float* weights, int entry, int row0, int rows, const float* partial,
                             int splits) {
  using C = Config<kHeadDim>;
  constexpr int kState = kStateFloats<kHeadDim>;
  __shared__ float tops[kRows], totals[kRows];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int row = warp; row < rows; row += C::kWarps) {
    const float* maxima = partial + kRows * kHeadDim + row;
    float top = -INFINITY;
    for (int x = lane; x < splits; x += 32) top = fmaxf(top, __ldcg(maxima + std::int64_t(x) * kState));
    for (int step = 16; step > 0; step /= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
    float total = 0.f;
    for (int x = lane; x < splits; x += 32) {
      const float* m = maxima + std::int64_t(x) * kState;
      const float weight = top == -INFINITY ? 0.f : exp2_fast((__ldcg(m) - top) * a.scale * kLog2E);
      weights[row * splits + x] = weight;
      total += weight * __ldcg(m + kRows);
    }
    for (int step = 16; step > 0; step /= 2) total += __shfl_xor_sync(0xffffffffu, total, step);
    if (lane == 0) tops[row] = top, totals[row] = total;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < rows * kHeadDim; i += C::kThreads) {
    const int row = i / kHeadDim;
    float value = 0.f;
#pragma unroll 8
    for (int x = 0; x < splits; ++x)
      value += weights[row * splits + x] * __ldcg(partial + std::int64_t(x) * kState + i);
    put<T>(a, entry, row0 + row, i % kHeadDim, kHeadDim, value, tops[row], totals[row]);
  }
}

/// Entry of a page: the last one whose first page is not behind it, empty entries left aside.
__device__ __forceinline__ int entry_of(const int* prefix, int entries, int page) {
  int low = 0, high = entries - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (prefix[middle] <= page)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

template <int kHeadDim, class T>
__global__ void __launch_bounds__(Config<kHeadDim>::kThreads, 1) decode_kernel(DecodeArgs a) {
  using C = Config<kHeadDim>;
  constexpr int kState = kStateFloats<kHeadDim>;
  extern __shared__ __align__(128) std::uint8_t raw[];
  __shared__ bool last;
  T* stages = reinterpret_cast<T*>(raw);
  float* states = reinterpret_cast<float*>(raw);
  int* prefix = reinterpret_cast<int*>(raw + C::kBytes);
  const int entries = a.kv.num_sequences * a.kv.num_kv_heads, g = a.num_heads / a.kv.num_kv_heads;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row0 = blockIdx.y * kRows, all_rows = a.num_queries * g,
            rows = min(kRows, all_rows - row0);
  scan_pages<C::kThreads>(a.kv, entries, prefix);
  for (int e = blockIdx.x; e < entries; e += gridDim.x) {
    if (prefix[e] < prefix[e + 1]) continue;
    for (int i = threadIdx.x; i < rows * kHeadDim; i += C::kThreads) {
      put<T>(a, e, row0 + i / kHeadDim, i % kHeadDim, kHeadDim, 0.f, -INFINITY, 0.f);
    }
  }
  const int share = (prefix[entries] + gridDim.x - 1) / gridDim.x;
  int page = blockIdx.x * share;
  const int end = min(prefix[entries], page + share);
  while (page < end) {
    const int entry = entry_of(prefix, entries, page);
    const int count = min(end, prefix[entry + 1]) - page, page0 = page - prefix[entry];
    Warp<kHeadDim, T> w{stages + warp * C::kStages * 2 * C::kUnitElements, lane};
    w.begin(a, entry / a.kv.num_kv_heads, entry % a.kv.num_kv_heads, row0, all_rows, g);
    w.walk(a, entry, page0, count, length_of(a.kv, entry), row0, g, warp);
    __syncthreads();
    w.leave(states + warp * kState);
    __syncthreads();
    const int first = prefix[entry] / share, splits = (prefix[entry + 1] - 1) / share - first + 1;
    if (splits == 1) {
      merge_warps<kHeadDim, T>(a, states, entry, row0, rows, nullptr);
    } else {
      // Slot: block and entry numbers only grow along the list, so their sum names the pair.
      float* partial = a.partial + (std::int64_t(blockIdx.y) * (gridDim.x + entries) + first + entry) * kState;
      merge_warps<kHeadDim, T>(a, states, entry, row0, rows, partial + std::int64_t(blockIdx.x - first) * kState);
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
        merge_splits<kHeadDim, T>(a, states, entry, row0, rows, partial, splits);
      }
    }
    __syncthreads();
    page += count;
  }
}

template <int kHeadDim, class T>
cudaError_t launch(const DecodeArgs& a, cudaStream_t stream) {
  using C = Config<kHeadDim>;
  const int entries = a.kv.num_sequences * a.kv.num_kv_heads, rows = a.num_queries * (a.num_heads / a.kv.num_kv_heads);
  const int bytes = C::kBytes + (entries + 1) * 4;
  const auto kernel = decode_kernel<kHeadDim, T>;
  if (const cudaError_t e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
      e != cudaSuccess)
    return e;
  kernel<<<dim3(a.num_splits, (rows + kRows - 1) / kRows), C::kThreads, bytes, stream>>>(a);
  return cudaGetLastError();
}

}  // namespace decode_detail

template <class T>
cudaError_t decode(const DecodeArgs& a, cudaStream_t stream) {
  cudaError_t result = cudaErrorInvalidValue;
  dispatch_head_dim(a.kv.head_dim, [&]<int kHeadDim>() { result = decode_detail::launch<kHeadDim, T>(a, stream); });
  return result;
}

}  // namespace tca::cuda
