// Prefill attention with mma.sync: four warps of 16 query rows, tiles of 64 keys copied ahead by cp.async. Correct
// everywhere from Ampere on; Hopper has its own kernel for head_dim 64 and 128.
#pragma once

#include <cmath>

#include "cuda/mma.cuh"
#include "cuda/sm80/prefill/prefill.h"
#include "cuda/tile_list.cuh"

namespace tca::cuda::sm80 {
namespace prefill_detail {

constexpr int kRows = 64, kKeys = 64, kThreads = 128;

/// Q and kStages tiles of K and V; head_dim 256 has one stage to stay within the 99 KB of sm_86 and sm_89.
template <int kHeadDim>
constexpr int kStages = kHeadDim == 256 ? 1 : 2;
template <int kHeadDim>
constexpr int kBytes = (kRows + kStages<kHeadDim> * 2 * kKeys) * kHeadDim * 2;

template <int kHeadDim, class T>
struct Tile {
  using Rows = SwizzledRows<kHeadDim>;
  static constexpr int kChunks = kHeadDim / 8;
  static constexpr int kElements = kKeys * kHeadDim;
  const PrefillArgs& a;
  const TileList& list;
  int kv_head, window, lane;
  std::int64_t base_row;
  T* q;   // [64, d]
  T* kv;  // [stages][K, V][64, d]
  int row[2], rows_visible[2];
  float out[kHeadDim / 8][4];
  float m[2] = {-INFINITY, -INFINITY}, sum[2] = {0.f, 0.f};

  __device__ __forceinline__ void copy(int index) {
    bool is_kept;
    const int tile = list.tile(index, is_kept), first = tile * kKeys + (is_kept ? 0 : list.window_begin);
    const T* k = static_cast<const T*>(is_kept ? a.rows.k : a.k);
    const T* v = static_cast<const T*>(is_kept ? a.rows.v : a.v);
    T* dst = kv + index % kStages<kHeadDim> * 2 * kElements;
    for (int i = threadIdx.x; i < kKeys * kChunks; i += kThreads) {
      const int r = i / kChunks, c = i % kChunks;
      // Compacted rows are padded with zeros; dense ones end at the segment's last token.
      const bool there = is_kept || first + r < a.num_tokens;
      const std::int64_t at = there ? first + r : 0;
      const std::int64_t from_k = is_kept ? (base_row + at) * kHeadDim : at * a.k_token_stride + kv_head * kHeadDim;
      const std::int64_t from_v = is_kept ? (base_row + at) * kHeadDim : at * a.v_token_stride + kv_head * kHeadDim;
      copy_async_16(dst + Rows::offset(r, c), k + from_k + c * 8, there);
      copy_async_16(dst + kElements + Rows::offset(r, c), v + from_v + c * 8, there);
    }
  }

  __device__ __forceinline__ void multiply(int index, float scale_log2) {
    const T* k = kv + index % kStages<kHeadDim> * 2 * kElements;
    const T* v = k + kElements;
    const int warp_row = threadIdx.x / 32 * 16;
    float s[kKeys / 8][4] = {};
#pragma unroll
    for (int x = 0; x < kHeadDim / 16; ++x) {
      std::uint32_t fa[4];
      ldmatrix_x4(fa, q + Rows::offset(warp_row + (lane & 15), 2 * x + (lane >> 4)));
#pragma unroll
      for (int n = 0; n < kKeys / 8; n += 2) {
        std::uint32_t fb[4];
        ldmatrix_x4(fb, k + Rows::offset(n * 8 + (lane & 7) + ((lane >> 4) << 3), 2 * x + ((lane >> 3) & 1)));
        mma_16816<T>(s[n], fa, fb[0], fb[1]);
        mma_16816<T>(s[n + 1], fa, fb[2], fb[3]);
      }
    }
    if (index < list.num_masked()) mask(index, s);
    float rescale[2];
    softmax(s, scale_log2, rescale);
    add_values<kHeadDim>(out, s, rescale, v, lane);
  }

  __device__ __forceinline__ void mask(int index, float (&s)[kKeys / 8][4]) {
    bool is_kept;
    const int tile = list.tile(index, is_kept), first = tile * kKeys + (is_kept ? 0 : list.window_begin);
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int r = i >> 1, key = first + n * 8 + (lane & 3) * 2 + (i & 1);
        const bool visible = is_kept ? key < rows_visible[r] : key <= row[r] && key > row[r] - window;
        if (!visible) s[n][i] = -INFINITY;
      }
  }

  __device__ __forceinline__ void softmax(float (&s)[kKeys / 8][4], float scale_log2, float (&rescale)[2]) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = m[r];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) top = fmaxf(top, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
      const float base = top == -INFINITY ? 0.f : top * scale_log2;
      rescale[r] = exp2_fast(m[r] * scale_log2 - base);
      m[r] = top;
      sum[r] *= rescale[r];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& x = s[n][2 * r + i];
          x = exp2_fast(fmaf(x, scale_log2, -base));
          sum[r] += x;
        }
    }
  }

  __device__ __forceinline__ void store(int head) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
      sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
      if (row[r] >= a.num_tokens) continue;
      const float inverse = 1.f / sum[r];
      T* dst = static_cast<T*>(a.out) + (row[r] - a.query_begin) * a.out_token_stride + std::int64_t(head) * kHeadDim;
#pragma unroll
      for (int n = 0; n < kHeadDim / 8; ++n) {
        *reinterpret_cast<std::uint32_t*>(dst + n * 8 + (lane & 3) * 2) =
            pack_pair<T>(out[n][2 * r] * inverse, out[n][2 * r + 1] * inverse);
      }
      if (a.lse != nullptr && (lane & 3) == 0)
        a.lse[std::int64_t(row[r] - a.query_begin) * a.num_heads + head] = m[r] * a.scale + logf(sum[r]);
    }
  }
};

template <int kHeadDim, class T>
__global__ void __launch_bounds__(kThreads) prefill_kernel(PrefillArgs a) {
  using Work = Tile<kHeadDim, T>;
  constexpr int kAhead = kStages<kHeadDim> - 1;
  extern __shared__ __align__(128) std::uint8_t raw[];
  T* q = reinterpret_cast<T*>(raw);
  const auto [head, kv_head, row0] = assign_tile<kRows>(a);
  const int window = effective_window(a, kv_head), lane = threadIdx.x % 32,
            row = row0 + threadIdx.x / 32 * 16 + lane / 4;
  const TileList list = make_tile_list<kRows, kKeys>(a, kv_head, row0, window);
  for (int i = threadIdx.x; i < kRows * Work::kChunks; i += kThreads) {
    const int r = i / Work::kChunks, c = i % Work::kChunks;
    const bool there = row0 + r < a.num_tokens;
    const T* src = static_cast<const T*>(a.q) + (there ? row0 + r - a.query_begin : 0) * a.q_token_stride +
                   std::int64_t(head) * kHeadDim + c * 8;
    copy_async_16(q + Work::Rows::offset(r, c), src, there);
  }
  Work work{a,
            list,
            kv_head,
            window,
            lane,
            a.rows.k != nullptr ? a.rows.base[kv_head] : 0,
            q,
            q + kRows * kHeadDim,
            {row, row + 8}};
#pragma unroll
  for (int n = 0; n < kHeadDim / 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) work.out[n][i] = 0.f;
  for (int r = 0; r < 2; ++r)
    work.rows_visible[r] = rows_before(a, kv_head, min(work.row[r], a.num_tokens - 1) - window + 1);
  const int n = list.size();
  for (int i = 0; i < kAhead && i < n; ++i) work.copy(i), copy_async_commit();
  for (int i = 0; i < n; ++i) {
    if (i + kAhead < n) work.copy(i + kAhead);
    copy_async_commit();
    copy_async_wait<kAhead>();
    __syncthreads();
    work.multiply(i, a.scale * kLog2E);
    __syncthreads();
  }
  work.store(head);
}

}  // namespace prefill_detail

template <class T>
cudaError_t prefill(const PrefillArgs& a, cudaStream_t stream) {
  cudaError_t result = cudaErrorInvalidValue;
  dispatch_head_dim(a.head_dim, [&]<int kHeadDim>() {
    const auto kernel = prefill_detail::prefill_kernel<kHeadDim, T>;
    constexpr int kBytes = prefill_detail::kBytes<kHeadDim>;
    result = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
    if (result != cudaSuccess) return;
    const int tiles = (a.num_tokens - a.query_begin + prefill_detail::kRows - 1) / prefill_detail::kRows;
    kernel<<<tiles * a.num_heads, prefill_detail::kThreads, kBytes, stream>>>(a);
    result = cudaGetLastError();
  });
  return result;
}

}  // namespace tca::cuda::sm80
