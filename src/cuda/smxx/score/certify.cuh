// Dense attention of sampled rows on tensor cores. Per chunk of keys each row's maximum, sum of exponentials, the part
// of that sum that lies on dropped keys, and the weighted sum of values; then a merge in fixed order. The dropped part
// is summed on its own: 1 - visible would lose what is small.
#pragma once

#include <algorithm>
#include <cmath>

#include "cuda/mma.cuh"
#include "cuda/smxx/score/certify.h"

namespace tca::cuda {
namespace certify_detail {

constexpr int kKeys = 64;         // keys of a tile: one word of kept bits
constexpr int kRows = 64;         // rows of a block: 16 a warp
constexpr int kLeastChunk = 512;  // keys of a block
constexpr int kMostChunks = 32;   // of a source: they bound the memory of partial results
constexpr int kThreads = 128;

inline int chunk_keys(const KeySource& s) {
  const int share = (s.num_rows + kMostChunks - 1) / kMostChunks;
  return std::max(kLeastChunk, (share + kKeys - 1) / kKeys * kKeys);
}
inline int chunks(const KeySource& s) {
  return s.data == nullptr ? 0 : (s.num_rows + chunk_keys(s) - 1) / chunk_keys(s);
}

/// Q, K and V: 96 KiB for d = 256, within the 99 KB of sm_86 and sm_89.
template <int kHeadDim>
constexpr int kBytes = (kRows + 2 * kKeys) * kHeadDim * 2;

/// What a launch works on, and where its chunks are among those of all.
struct Source {
  KeysAndValues rows;
  bool is_segment;
  int chunk_keys, first_chunk, num_chunks;
};

template <int kHeadDim, class T>
struct Rows {
  using Swizzle = SwizzledRows<kHeadDim>;
  static constexpr int kChunks = kHeadDim / 8;
  const CertifyArgs& a;
  T* q;  // [64, d] swizzled
  T* k;
  T* v;
  int warp, lane;
  int row[2] = {};  // of the KV head's R g rows
  float out[kHeadDim / 8][4] = {};
  float m[2] = {-INFINITY, -INFINITY}, sum[2] = {0.f, 0.f}, dropped[2] = {0.f, 0.f};

  __device__ __forceinline__ void copy(T* to, const KeySource& from, int head, int key0, int count) const {
    const T* rows =
        static_cast<const T*>(from.data) + (from.base != nullptr ? from.base[head] : head * from.head_stride);
    for (int i = threadIdx.x; i < kKeys * kChunks; i += kThreads) {
      const int r = i / kChunks, c = i % kChunks;
      const bool there = key0 + r < count;
      copy_async_16(to + Swizzle::offset(r, c), rows + std::int64_t(there ? key0 + r : key0) * from.row_stride + c * 8,
                    there);
    }
  }

  __device__ __forceinline__ void score(float (&s)[kKeys / 8][4]) const {
#pragma unroll
    for (int x = 0; x < kHeadDim / 16; ++x) {
      std::uint32_t fa[4];
      ldmatrix_x4(fa, q + Swizzle::offset(warp * 16 + (lane & 15), 2 * x + (lane >> 4)));
#pragma unroll
      for (int n = 0; n < kKeys / 8; n += 2) {
        std::uint32_t fb[4];
        ldmatrix_x4(fb, k + Swizzle::offset(n * 8 + (lane & 7) + ((lane >> 4) << 3), 2 * x + ((lane >> 3) & 1)));
        mma_16816<T>(s[n], fa, fb[0], fb[1]);
        mma_16816<T>(s[n + 1], fa, fb[2], fb[3]);
      }
    }
  }

  /// Scores become weights; a row's four lanes share its maximum, each sums its own columns. `last_key`: of the source
  /// that row r sees. `kept`: bits of the tile's keys, which are dropped only up to `dropped_to` of row r.
  __device__ __forceinline__ void softmax(float (&s)[kKeys / 8][4], int key0, const int (&last_key)[2],
                                          std::uint64_t kept, const int (&dropped_to)[2], float (&rescale)[2]) {
    const float scale_log2 = a.scale * kLog2E;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = m[r];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& x = s[n][2 * r + i];
          if (key0 + n * 8 + (lane & 3) * 2 + i > last_key[r]) x = -INFINITY;
          top = fmaxf(top, x);
        }
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
      const float base = top == -INFINITY ? 0.f : top;
      rescale[r] = exp2_fast((m[r] - base) * scale_log2);
      m[r] = top;
      float add = 0.f, lost = 0.f;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int place = n * 8 + (lane & 3) * 2 + i;
          float& x = s[n][2 * r + i];
          x = exp2_fast((x - base) * scale_log2);
          add += x;
          if (!(kept >> place & 1) && key0 + place <= dropped_to[r]) lost += x;
        }
      sum[r] = sum[r] * rescale[r] + add;
      dropped[r] = dropped[r] * rescale[r] + lost;
    }
  }

  /// To chunk `chunk` of the partial results; `rows` of each.
  __device__ __forceinline__ void store(std::int64_t chunk, int rows) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      for (int step = 1; step < 4; step *= 2) {
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], step);
        dropped[r] += __shfl_xor_sync(0xffffffffu, dropped[r], step);
      }
      if (row[r] >= rows) continue;
      float* const part = a.partial + chunk * 3 * rows + row[r];
      if ((lane & 3) == 0) part[0] = m[r], part[rows] = sum[r], part[2 * rows] = dropped[r];
      float* const to = a.partial_out + (chunk * rows + row[r]) * kHeadDim + (lane & 3) * 2;
#pragma unroll
      for (int n = 0; n < kHeadDim / 8; ++n)
        *reinterpret_cast<float2*>(to + n * 8) = make_float2(out[n][2 * r], out[n][2 * r + 1]);
    }
  }
};

template <int kHeadDim, class T>
__global__ void __launch_bounds__(kThreads) certify_kernel(CertifyArgs a, Source source) {
  using Work = Rows<kHeadDim, T>;
  extern __shared__ __align__(128) std::uint8_t raw_shared[];
  const int g = a.num_heads / a.num_kv_heads, rows = a.num_rows * g, first_row = blockIdx.z * kRows;
  const int head = blockIdx.y, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const KeySource& keys = source.rows.k;
  const int count = keys.counts != nullptr ? keys.counts[head] : keys.num_rows;
  T* const q = reinterpret_cast<T*>(raw_shared);
  Work work{a, q, q + kRows * kHeadDim, q + (kRows + kKeys) * kHeadDim, warp, lane};
  for (int i = threadIdx.x; i < kRows * Work::kChunks; i += kThreads) {
    const int r = i / Work::kChunks, c = i % Work::kChunks, row = first_row + r;
    const T* src = static_cast<const T*>(a.q) + (row / g) * a.q_token_stride +
                   (std::int64_t(head) * g + row % g) * kHeadDim + c * 8;
    copy_async_16(q + Work::Swizzle::offset(r, c), row < rows ? src : a.q, row < rows);
  }
  int last_key[2], dropped_to[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    work.row[r] = first_row + warp * 16 + lane / 4 + 8 * r;
    const int token = work.row[r] < rows ? a.tokens[work.row[r] / g] : -1;
    last_key[r] = source.is_segment ? token : count - 1;
    dropped_to[r] = source.is_segment ? token - a.window : -1;  // nothing of the past is dropped
  }
  const int begin = blockIdx.x * source.chunk_keys, end = min(count, begin + source.chunk_keys);
  for (int key0 = begin; key0 < end; key0 += kKeys) {
    work.copy(work.k, keys, head, key0, count);
    work.copy(work.v, source.rows.v, head, key0, count);
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    float s[kKeys / 8][4] = {};
    work.score(s);
    const std::uint64_t kept =
        source.is_segment ? a.kept.bits[std::int64_t(head) * a.kept.num_words + key0 / kKeys] : ~std::uint64_t{0};
    float rescale[2];
    work.softmax(s, key0, last_key, kept, dropped_to, rescale);
    add_values<kHeadDim>(work.out, s, rescale, work.v, lane);
    __syncthreads();
  }
  work.store(std::int64_t(head) * source.num_chunks + source.first_chunk + blockIdx.x, rows);
}

/// One warp a row: chunks merged in order.
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) merge_kernel(CertifyArgs a, int num_chunks) {
  const int g = a.num_heads / a.num_kv_heads, rows = a.num_rows * g, lane = threadIdx.x % 32;
  const int row = (blockIdx.x * kThreads + threadIdx.x) / 32;
  if (row >= rows) return;
  const float scale_log2 = a.scale * kLog2E;
  float m = -INFINITY, sum = 0.f, dropped = 0.f, out[kHeadDim / 32] = {};
  for (int c = 0; c < num_chunks; ++c) {
    const std::int64_t chunk = std::int64_t(blockIdx.y) * num_chunks + c;
    const float* part = a.partial + chunk * 3 * rows + row;
    const float* part_out = a.partial_out + (chunk * rows + row) * kHeadDim + lane;
    if (part[0] == -INFINITY) continue;  // no key here that the row sees
    const float top = fmaxf(m, part[0]);
    const float before = exp2_fast((m - top) * scale_log2), now = exp2_fast((part[0] - top) * scale_log2);
    sum = sum * before + part[rows] * now;
    dropped = dropped * before + part[2 * rows] * now;
#pragma unroll
    for (int i = 0; i < kHeadDim / 32; ++i) out[i] = out[i] * before + part_out[32 * i] * now;
    m = top;
  }
  float square = 0.f;
#pragma unroll
  for (int i = 0; i < kHeadDim / 32; ++i) square = fmaf(out[i], out[i], square);
  for (int step = 16; step > 0; step /= 2) square += __shfl_xor_sync(0xffffffffu, square, step);
  if (lane != 0) return;
  const std::int64_t to = std::int64_t(row / g) * a.num_heads + blockIdx.y * g + row % g;
  a.deltas[to] = sum > 0.f ? fminf(1.f, dropped / sum) : 0.f;
  a.output_norms[to] = sum > 0.f ? sqrtf(square) / sum : 0.f;
}

/// A warp a value. Squares are not negative, so their bits order them as integers do.
template <class T>
__global__ void __launch_bounds__(256) norms_kernel(KeySource v, int head_dim, unsigned* norms) {
  const int lane = threadIdx.x % 32, warps = gridDim.x * (blockDim.x / 32);
  const std::int64_t head = blockIdx.y;
  const int count = v.counts != nullptr ? v.counts[head] : v.num_rows;
  const T* rows = static_cast<const T*>(v.data) + (v.base != nullptr ? v.base[head] : head * v.head_stride);
  float best = 0.f;
  for (int token = (blockIdx.x * blockDim.x + threadIdx.x) / 32; token < count; token += warps) {
    const T* row = rows + token * v.row_stride;
    float sum = 0.f;
    for (int e = 2 * lane; e < head_dim; e += 64) {
      const float x = static_cast<float>(row[e]), y = static_cast<float>(row[e + 1]);
      sum = fmaf(x, x, fmaf(y, y, sum));
    }
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    best = fmaxf(best, sum);
  }
  if (lane == 0) atomicMax(norms + blockIdx.y, __float_as_uint(best));
}

/// A kernel's part over the past or over the segment.
template <int kHeadDim, class T>
void launch_source(const CertifyArgs& a, const KeysAndValues& rows, bool is_segment, cudaStream_t stream) {
  const int own = chunks(rows.k), past = chunks(a.past.k), total = past + chunks(a.segment.k);
  if (own == 0) return;
  const unsigned heads = a.num_kv_heads, parts = (a.num_rows * (a.num_heads / a.num_kv_heads) + kRows - 1) / kRows;
  const Source source{rows, is_segment, chunk_keys(rows.k), is_segment ? past : 0, total};
  certify_kernel<kHeadDim, T><<<dim3(own, heads, parts), kThreads, kBytes<kHeadDim>, stream>>>(a, source);
  norms_kernel<T><<<dim3(std::min((rows.v.num_rows + 7) / 8, 512), heads), 256, 0, stream>>>(
      rows.v, kHeadDim, reinterpret_cast<unsigned*>(a.squared_value_norms));
}

template <int kHeadDim, class T>
cudaError_t launch(const CertifyArgs& a, cudaStream_t stream) {
  cudaError_t e =
      cudaFuncSetAttribute(certify_kernel<kHeadDim, T>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes<kHeadDim>);
  if (e != cudaSuccess) return e;
  e = cudaMemsetAsync(a.squared_value_norms, 0, static_cast<std::size_t>(a.num_kv_heads) * sizeof(float), stream);
  if (e != cudaSuccess) return e;
  launch_source<kHeadDim, T>(a, a.past, false, stream);
  launch_source<kHeadDim, T>(a, a.segment, true, stream);
  const int rows = a.num_rows * (a.num_heads / a.num_kv_heads);
  merge_kernel<kHeadDim><<<dim3((rows + kThreads / 32 - 1) / (kThreads / 32), a.num_kv_heads), kThreads, 0, stream>>>(
      a, chunks(a.past.k) + chunks(a.segment.k));
  return cudaGetLastError();
}

}  // namespace certify_detail

template <class T>
cudaError_t certify(const CertifyArgs& a, cudaStream_t stream) {
  cudaError_t result = cudaErrorInvalidValue;
  dispatch_head_dim(a.head_dim, [&]<int kHeadDim>() { result = certify_detail::launch<kHeadDim, T>(a, stream); });
  return result;
}

}  // namespace tca::cuda
