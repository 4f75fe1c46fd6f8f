// Dropped mass on tensor cores, in the manner of probe.cuh: per chunk of keys each row's maximum, sum of exponentials
// and the part of that sum that lies on dropped keys; then a merge in fixed order. The dropped part is summed on its
// own: 1 - visible would lose what is small.
#pragma once

#include <algorithm>
#include <cmath>

#include "cuda/mma.cuh"
#include "cuda/smxx/score/certify.h"

namespace tca::cuda {
namespace certify_detail {

constexpr int kKeys = 64;    // keys of a tile: one word of kept bits
constexpr int kRows = 64;    // rows of a block: 16 a warp
constexpr int kChunk = 512;  // keys of a block
constexpr int kThreads = 128;

inline int chunks(const KeySource& s) { return s.data == nullptr ? 0 : (s.num_rows + kChunk - 1) / kChunk; }

template <int kHeadDim>
constexpr int kBytes = (kRows + kKeys) * kHeadDim * 2;

template <int kHeadDim, class T>
__global__ void __launch_bounds__(kThreads)
    certify_kernel(CertifyArgs a, KeySource keys, bool is_segment, int first_chunk, int num_chunks) {
  using Rows = SwizzledRows<kHeadDim>;
  extern __shared__ __align__(128) std::uint8_t raw_shared[];
  T* q = reinterpret_cast<T*>(raw_shared);  // [64, d] swizzled
  T* k = q + kRows * kHeadDim;              // [64, d] swizzled
  const int g = a.num_heads / a.num_kv_heads, rows = a.num_rows * g, first_row = blockIdx.z * kRows;
  const int head = blockIdx.y, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int count = keys.counts != nullptr ? keys.counts[head] : keys.num_rows;
  const std::int64_t base = keys.base != nullptr ? keys.base[head] : head * keys.head_stride;
  for (int i = threadIdx.x; i < kRows * Rows::kChunks; i += kThreads) {
    const int r = i / Rows::kChunks, c = i % Rows::kChunks, row = first_row + r;
    const T* src = static_cast<const T*>(a.q) + (row / g) * a.q_token_stride +
                   (std::int64_t(head) * g + row % g) * kHeadDim + c * 8;
    copy_async_16(q + Rows::offset(r, c), row < rows ? src : a.q, row < rows);
  }
  int last[2];  // key of the segment that each of this lane's rows sees last
  for (int r = 0; r < 2; ++r) {
    const int row = first_row + warp * 16 + lane / 4 + 8 * r;
    last[r] = row < rows ? a.tokens[row / g] : -1;
  }
  float m[2] = {-INFINITY, -INFINITY}, sum[2] = {0.f, 0.f}, dropped[2] = {0.f, 0.f};
  const float scale_log2 = a.scale * kLog2E;
  const int begin = blockIdx.x * kChunk, end = min(count, begin + kChunk);
  for (int key0 = begin; key0 < end; key0 += kKeys) {
    for (int i = threadIdx.x; i < kKeys * Rows::kChunks; i += kThreads) {
      const int r = i / Rows::kChunks, c = i % Rows::kChunks;
      const bool valid = key0 + r < count;
      const T* src = static_cast<const T*>(keys.data) + base + std::int64_t(valid ? key0 + r : key0) * keys.row_stride;
      copy_async_16(k + Rows::offset(r, c), src + c * 8, valid);
    }
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    float s[8][4] = {};
#pragma unroll
    for (int x = 0; x < kHeadDim / 16; ++x) {
      std::uint32_t fa[4];
      ldmatrix_x4(fa, q + Rows::offset(warp * 16 + (lane & 15), 2 * x + (lane >> 4)));
#pragma unroll
      for (int n = 0; n < 8; n += 2) {
        std::uint32_t fb[4];
        ldmatrix_x4(fb, k + Rows::offset(n * 8 + (lane & 7) + ((lane >> 4) << 3), 2 * x + ((lane >> 3) & 1)));
        mma_16816<T>(s[n], fa, fb[0], fb[1]);
        mma_16816<T>(s[n + 1], fa, fb[2], fb[3]);
      }
    }
    const std::uint64_t kept =
        is_segment ? a.kept.bits[std::int64_t(head) * a.kept.num_words + key0 / kKeys] : ~std::uint64_t{0};
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int see = is_segment ? min(last[r], count - 1) : count - 1;
      float top = m[r];
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i)
          if (key0 + n * 8 + (lane & 3) * 2 + i <= see) top = fmaxf(top, s[n][2 * r + i]);
      if (top == -INFINITY) continue;
      const float rescale = exp2_fast((m[r] - top) * scale_log2);
      float add = 0.f, lost = 0.f;
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int place = n * 8 + (lane & 3) * 2 + i, key = key0 + place;
          if (key > see) continue;
          const float weight = exp2_fast((s[n][2 * r + i] - top) * scale_log2);
          add += weight;
          if (!(kept >> place & 1) && key <= last[r] - a.window) lost += weight;
        }
      sum[r] = sum[r] * rescale + add;
      dropped[r] = dropped[r] * rescale + lost;
      m[r] = top;
    }
    __syncthreads();
  }
  float* out = a.partial + (std::int64_t(head) * num_chunks + first_chunk + blockIdx.x) * 3 * rows;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    // The quad's four lanes hold disjoint columns of one row.
    float top = m[r];
    for (int step = 1; step < 4; step *= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
    const float rescale = top == -INFINITY ? 0.f : exp2_fast((m[r] - top) * scale_log2);
    float total = sum[r] * rescale, lost = dropped[r] * rescale;
    for (int step = 1; step < 4; step *= 2) {
      total += __shfl_xor_sync(0xffffffffu, total, step);
      lost += __shfl_xor_sync(0xffffffffu, lost, step);
    }
    const int row = first_row + warp * 16 + lane / 4 + 8 * r;
    if ((lane & 3) == 0 && row < rows) out[row] = top, out[rows + row] = total, out[2 * rows + row] = lost;
  }
}

/// One thread a row: chunks merged in order.
template <class T>
__global__ void merge_kernel(CertifyArgs a, int num_chunks) {
  const int g = a.num_heads / a.num_kv_heads, rows = a.num_rows * g, row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const float* part = a.partial + std::int64_t(blockIdx.y) * num_chunks * 3 * rows;
  const float scale_log2 = a.scale * kLog2E;
  float m = -INFINITY, sum = 0.f, dropped = 0.f;
  for (int c = 0; c < num_chunks; ++c, part += 3 * rows) {
    const float top = fmaxf(m, part[row]);
    if (top == -INFINITY) continue;
    const float before = exp2_fast((m - top) * scale_log2), now = exp2_fast((part[row] - top) * scale_log2);
    sum = sum * before + part[rows + row] * now;
    dropped = dropped * before + part[2 * rows + row] * now;
    m = top;
  }
  a.deltas[std::int64_t(row / g) * a.num_heads + blockIdx.y * g + row % g] =
      sum > 0.f ? fminf(1.f, dropped / sum) : 0.f;
}

template <int kHeadDim, class T>
cudaError_t launch(const CertifyArgs& a, cudaStream_t stream) {
  const int past = chunks(a.past), segment = chunks(a.segment), rows = a.num_rows * (a.num_heads / a.num_kv_heads);
  const unsigned heads = a.num_kv_heads, parts = (rows + kRows - 1) / kRows;
  const auto kernel = certify_kernel<kHeadDim, T>;
  const cudaError_t e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes<kHeadDim>);
  if (e != cudaSuccess) return e;
  if (past > 0) {
    kernel<<<dim3(past, heads, parts), kThreads, kBytes<kHeadDim>, stream>>>(a, a.past, false, 0, past + segment);
  }
  kernel<<<dim3(segment, heads, parts), kThreads, kBytes<kHeadDim>, stream>>>(a, a.segment, true, past, past + segment);
  merge_kernel<T><<<dim3((rows + 63) / 64, heads), 64, 0, stream>>>(a, past + segment);
  return cudaGetLastError();
}

/// A warp a value. Squares are not negative, so their bits order them as integers do.
template <class T>
__global__ void __launch_bounds__(256)
    norms_kernel(const T* v, std::int64_t token_stride, int num_tokens, int head_dim, unsigned* norms) {
  const int lane = threadIdx.x % 32, warps = gridDim.x * (blockDim.x / 32);
  float best = 0.f;
  for (int token = (blockIdx.x * blockDim.x + threadIdx.x) / 32; token < num_tokens; token += warps) {
    const T* row = v + token * token_stride + std::int64_t(blockIdx.y) * head_dim;
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

}  // namespace certify_detail

template <class T>
cudaError_t certify(const CertifyArgs& a, cudaStream_t stream) {
  cudaError_t result = cudaErrorInvalidValue;
  dispatch_head_dim(a.head_dim, [&]<int kHeadDim>() { result = certify_detail::launch<kHeadDim, T>(a, stream); });
  return result;
}

template <class T>
cudaError_t value_norms(const void* v, std::int64_t token_stride, std::int32_t num_tokens, std::int32_t num_kv_heads,
                        std::int32_t head_dim, float* norms, cudaStream_t stream) {
  const cudaError_t e = cudaMemsetAsync(norms, 0, static_cast<std::size_t>(num_kv_heads) * sizeof(float), stream);
  if (e != cudaSuccess) return e;
  const unsigned blocks = std::min((num_tokens + 7) / 8, 512);
  certify_detail::norms_kernel<T><<<dim3(blocks, num_kv_heads), 256, 0, stream>>>(
      static_cast<const T*>(v), token_stride, num_tokens, head_dim, reinterpret_cast<unsigned*>(norms));
  return cudaGetLastError();
}

}  // namespace tca::cuda
