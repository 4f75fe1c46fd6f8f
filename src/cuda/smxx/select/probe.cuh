// Probe scores in three launches: per chunk of keys the softmax statistics of each probe row, their merge in fixed
// order, and the column sums (or maxima) of exp(s - lse). K is read twice: 2 x 268 MB at 128K tokens of 8 heads x 128,
// 0.13 ms of an H200's 4.3 TB/s, against one read and a score matrix of 0.5 GB written and read again.
#pragma once

#include <algorithm>
#include <cmath>

#include "cuda/mma.cuh"
#include "cuda/smxx/select/probe.h"

namespace tca::cuda {
namespace probe_detail {

constexpr int kKeys = 64;  // keys of a tile
constexpr int kWarps = 4;  // 16 probe rows each, so 64 rows a pass

/// Probe rows of one pass over the keys: within the 99 KB of shared memory that sm_86 and sm_89 have.
template <int kHeadDim>
constexpr int kMaxRows = kHeadDim == 256 ? 128 : 256;

/// Rows [first, first + count) of the P g rows of a KV head.
struct RowRange {
  int first, count;
};

template <int kHeadDim>
constexpr int shared_bytes(int rows) {
  const int padded = (rows + 63) / 64 * 64;
  return (padded + kKeys) * kHeadDim * 2 + kWarps * kKeys * 4;
}

template <class T>
__device__ __forceinline__ const T* key_row(const KeySource& s, int head, int row) {
  const std::int64_t base = s.base != nullptr ? s.base[head] : head * s.head_stride;
  return static_cast<const T*>(s.data) + base + row * s.row_stride;
}
__device__ __forceinline__ int key_count(const KeySource& s, int head) {
  return s.counts != nullptr ? s.counts[head] : s.num_rows;
}

enum class Pass { kStatistics, kSums, kMaxima };

/// kStatistics: writes (max, sum) of this chunk for every probe row. Else: the columns' sums or maxima of exp(s - lse).
template <int kHeadDim, class T, Pass kPass>
__global__ void __launch_bounds__(kWarps * 32)
    probe_kernel(ProbeArgs a, KeySource keys, bool causal, int first_chunk, int num_chunks, RowRange range) {
  using Rows = SwizzledRows<kHeadDim>;
  constexpr bool kScores = kPass != Pass::kStatistics;
  const auto combine = [](float a, float b) { return kPass == Pass::kMaxima ? fmaxf(a, b) : a + b; };
  extern __shared__ __align__(128) std::uint8_t raw_shared[];
  const int g = a.num_heads / a.num_kv_heads, rows = range.count, padded = (rows + 63) / 64 * 64;
  T* q = reinterpret_cast<T*>(raw_shared);                          // [padded, d] swizzled
  T* k = q + padded * kHeadDim;                                     // [64, d] swizzled
  float* columns = reinterpret_cast<float*>(k + kKeys * kHeadDim);  // [4 warps, 64]
  const int head = blockIdx.y, thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  const int count = key_count(keys, head);
  for (int i = thread; i < padded * Rows::kChunks; i += kWarps * 32) {
    const int r = i / Rows::kChunks, c = i % Rows::kChunks;
    const int row = range.first + r;
    const T* src = static_cast<const T*>(a.q) + (row / g) * a.q_token_stride +
                   (std::int64_t(head) * g + row % g) * kHeadDim + c * 8;
    copy_async_16(q + Rows::offset(r, c), r < rows ? src : a.q, r < rows);
  }
  // Running statistics of rows lane / 4 and + 8 of every 64-row pass: 256 probe rows at most are 4 passes.
  constexpr int kPasses = 4;
  float m[kPasses][2], sum[kPasses][2];
  for (int p = 0; p < kPasses; ++p)
    for (int r = 0; r < 2; ++r) m[p][r] = -INFINITY, sum[p][r] = 0.f;
  const float scale_log2 = a.scale * kLog2E;
  const int begin = blockIdx.x * kProbeChunk, end = min(count, begin + kProbeChunk);
  for (int key0 = begin; key0 < end; key0 += kKeys) {
    for (int i = thread; i < kKeys * Rows::kChunks; i += kWarps * 32) {
      const int r = i / Rows::kChunks, c = i % Rows::kChunks;
      const bool valid = key0 + r < count;
      copy_async_16(k + Rows::offset(r, c), key_row<T>(keys, head, valid ? key0 + r : key0) + c * 8, valid);
    }
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    float column[16] = {};  // of this lane's 16 columns over its rows
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      if (pass * 64 >= padded) break;
      float s[8][4] = {};
      const int row0 = pass * 64 + warp * 16;
#pragma unroll
      for (int x = 0; x < kHeadDim / 16; ++x) {
        std::uint32_t fa[4];
        ldmatrix_x4(fa, q + Rows::offset(row0 + (lane & 15), 2 * x + (lane >> 4)));
#pragma unroll
        for (int n = 0; n < 8; n += 2) {
          std::uint32_t fb[4];
          ldmatrix_x4(fb, k + Rows::offset(n * 8 + (lane & 7) + ((lane >> 4) << 3), 2 * x + ((lane >> 3) & 1)));
          mma_16816<T>(s[n], fa, fb[0], fb[1]);
          mma_16816<T>(s[n + 1], fa, fb[2], fb[3]);
        }
      }
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int row = row0 + lane / 4 + 8 * r;
        const int last = row >= rows ? -1
                         : causal    ? a.segment.num_rows - a.num_probes + (range.first + row) / g
                                     : count - 1;
        const auto visible = [&](int n, int i) { return key0 + n * 8 + (lane & 3) * 2 + i <= min(last, count - 1); };
        if constexpr (kScores) {
          const float lse_log2 =
              row < rows ? a.lse[std::int64_t(head) * a.num_probes * g + range.first + row] * kLog2E : 0.f;
#pragma unroll
          for (int n = 0; n < 8; ++n)
#pragma unroll
            for (int i = 0; i < 2; ++i)
              column[2 * n + i] = combine(
                  column[2 * n + i], visible(n, i) ? exp2_fast(fmaf(s[n][2 * r + i], scale_log2, -lse_log2)) : 0.f);
        } else {
          float top = m[pass][r];
#pragma unroll
          for (int n = 0; n < 8; ++n)
#pragma unroll
            for (int i = 0; i < 2; ++i) top = visible(n, i) ? fmaxf(top, s[n][2 * r + i]) : top;
          if (top != -INFINITY) {
            float add = 0.f;
#pragma unroll
            for (int n = 0; n < 8; ++n)
#pragma unroll
              for (int i = 0; i < 2; ++i) add += visible(n, i) ? exp2_fast((s[n][2 * r + i] - top) * scale_log2) : 0.f;
            sum[pass][r] = sum[pass][r] * exp2_fast((m[pass][r] - top) * scale_log2) + add;
            m[pass][r] = top;
          }
        }
      }
    }
    if constexpr (kScores) {
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        for (int step = 4; step < 32; step *= 2)
          column[i] = combine(column[i], __shfl_xor_sync(0xffffffffu, column[i], step));
        if (lane < 4) columns[warp * kKeys + (i / 2) * 8 + lane * 2 + (i & 1)] = column[i];
      }
    }
    __syncthreads();
    if (kScores && thread < kKeys && key0 + thread < count) {
      float total = 0.f;
      for (int w = 0; w < kWarps; ++w) total = combine(total, columns[w * kKeys + thread]);
      float& raw = a.raw[std::int64_t(head) * count + key0 + thread];
      raw = range.first == 0 ? total : combine(raw, total);
    }
  }
  if constexpr (!kScores) {
    float* out = a.partial + (std::int64_t(head) * num_chunks + first_chunk + blockIdx.x) * 2 * rows;
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        // The quad's four lanes hold disjoint columns of one row.
        float top = m[pass][r];
        for (int step = 1; step < 4; step *= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
        float total = top == -INFINITY ? 0.f : sum[pass][r] * exp2_fast((m[pass][r] - top) * scale_log2);
        for (int step = 1; step < 4; step *= 2) total += __shfl_xor_sync(0xffffffffu, total, step);
        const int row = pass * 64 + warp * 16 + lane / 4 + 8 * r;
        if ((lane & 3) == 0 && row < rows) out[row] = top * a.scale, out[rows + row] = total;
      }
  }
}

/// One thread a probe row: chunks merged in order.
template <class T>
__global__ void merge_kernel(ProbeArgs a, int num_chunks, RowRange range) {
  const int rows = range.count, row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const float* part = a.partial + std::int64_t(blockIdx.y) * num_chunks * 2 * rows;
  float m = -INFINITY, sum = 0.f;
  for (int c = 0; c < num_chunks; ++c, part += 2 * rows) {
    const float top = fmaxf(m, part[row]);
    if (top == -INFINITY) continue;
    sum = sum * __expf(m - top) + part[rows + row] * __expf(part[row] - top);
    m = top;
  }
  a.lse[std::int64_t(blockIdx.y) * a.num_probes * (a.num_heads / a.num_kv_heads) + range.first + row] = m + logf(sum);
}

inline int chunks(const KeySource& s) { return s.data == nullptr ? 0 : (s.num_rows + kProbeChunk - 1) / kProbeChunk; }

template <int kHeadDim, class T>
cudaError_t launch(const ProbeArgs& a, cudaStream_t stream) {
  const int rows = a.num_probes * (a.num_heads / a.num_kv_heads), most = std::min(rows, kMaxRows<kHeadDim>);
  const int past = chunks(a.past), segment = chunks(a.segment), bytes = shared_bytes<kHeadDim>(most);
  const auto statistics = probe_kernel<kHeadDim, T, Pass::kStatistics>;
  const auto scores = a.maximum ? probe_kernel<kHeadDim, T, Pass::kMaxima> : probe_kernel<kHeadDim, T, Pass::kSums>;
  for (const auto kernel : {statistics, scores}) {
    if (const cudaError_t e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
        e != cudaSuccess)
      return e;
  }
  const unsigned heads = a.num_kv_heads;
  const bool causal = !a.probes_follow;
  for (RowRange r{0, 0}; r.first < rows; r.first += most) {
    r.count = std::min(most, rows - r.first);
    if (past > 0) statistics<<<dim3(past, heads), kWarps * 32, bytes, stream>>>(a, a.past, false, 0, past + segment, r);
    statistics<<<dim3(segment, heads), kWarps * 32, bytes, stream>>>(a, a.segment, causal, past, past + segment, r);
    merge_kernel<T><<<dim3((r.count + 63) / 64, heads), 64, 0, stream>>>(a, past + segment, r);
    scores<<<dim3(segment, heads), kWarps * 32, bytes, stream>>>(a, a.segment, causal, past, past + segment, r);
  }
  return cudaGetLastError();
}

}  // namespace probe_detail

template <class T>
cudaError_t probe(const ProbeArgs& a, cudaStream_t stream) {
  cudaError_t result = cudaErrorInvalidValue;
  dispatch_head_dim(a.head_dim, [&]<int kHeadDim>() { result = probe_detail::launch<kHeadDim, T>(a, stream); });
  return result;
}

}  // namespace tca::cuda
