// Tensor-core products, shared-memory loads and asynchronous copies that every architecture from sm_80 on has.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace tca::cuda {

/// D[16, 8] += A[16, 16] B[16, 8], fp32 accumulation. Lane l holds of D rows l / 4 and l / 4 + 8, columns 2 (l % 4) and
/// one more.
template <class T>
__device__ __forceinline__ void mma_16816(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                          std::uint32_t b1) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

/// Four 8x8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void ldmatrix_x4(std::uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}
__device__ __forceinline__ void ldmatrix_x4_transposed(std::uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}

/// 16 bytes, global to shared; zeros when !valid (nothing is read then).
__device__ __forceinline__ void copy_async_16(void* dst, const void* src, bool valid) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(dst));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(src), "r"(valid ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
inline constexpr float kLog2E = 1.44269504088896341f;

template <class T>
__device__ __forceinline__ std::uint32_t pack_pair(float lo, float hi) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    const __nv_bfloat162 r = __floats2bfloat162_rn(lo, hi);
    return reinterpret_cast<const std::uint32_t&>(r);
  } else {
    const __half2 r = __floats2half2_rn(lo, hi);
    return reinterpret_cast<const std::uint32_t&>(r);
  }
}

/// Rows of head_dim 16-bit elements with their 16-byte chunks permuted by row, so that the 8 rows one ldmatrix reads
/// lie in different banks (two share one when head_dim is 96). The same order is used in shared memory and inside KV
/// pages.
template <int kHeadDim>
struct SwizzledRows {
  static constexpr int kChunks = kHeadDim / 8;
  static constexpr int kMask = kChunks % 8 == 0 ? 7 : 3;
  static_assert(kChunks % (kMask + 1) == 0);
  /// Element offset of chunk c of row r.
  __host__ __device__ static constexpr int offset(int r, int c) { return r * kHeadDim + (c ^ (r & kMask)) * 8; }
};

/// out = rescale out + P V, of 16 rows a warp: weights p [16, 8 kTiles] as mma_16816 left them, of which `rescale` has
/// the lane's two rows, and v [8 kTiles, kHeadDim] in shared memory as SwizzledRows.
template <int kHeadDim, class T, int kTiles>
__device__ __forceinline__ void add_values(float (&out)[kHeadDim / 8][4], const float (&p)[kTiles][4],
                                           const float (&rescale)[2], const T* v, int lane) {
#pragma unroll
  for (int n = 0; n < kHeadDim / 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) out[n][i] *= rescale[i >> 1];
#pragma unroll
  for (int x = 0; x < kTiles / 2; ++x) {
    const std::uint32_t a[4] = {pack_pair<T>(p[2 * x][0], p[2 * x][1]), pack_pair<T>(p[2 * x][2], p[2 * x][3]),
                                pack_pair<T>(p[2 * x + 1][0], p[2 * x + 1][1]),
                                pack_pair<T>(p[2 * x + 1][2], p[2 * x + 1][3])};
#pragma unroll
    for (int n = 0; n < kHeadDim / 8; n += 2) {
      std::uint32_t b[4];
      ldmatrix_x4_transposed(
          b, v + SwizzledRows<kHeadDim>::offset(x * 16 + (lane & 7) + (((lane >> 3) & 1) << 3), n + (lane >> 4)));
      mma_16816<T>(out[n], a, b[0], b[1]);
      mma_16816<T>(out[n + 1], a, b[2], b[3]);
    }
  }
}

/// Runs f.operator()<kHeadDim>() for the head dimensions the kernels are built for; false for another one.
template <class F>
bool dispatch_head_dim(int head_dim, F&& f) {
  switch (head_dim) {
    case 64:
      f.template operator()<64>();
      return true;
    case 96:
      f.template operator()<96>();
      return true;
    case 128:
      f.template operator()<128>();
      return true;
    case 256:
      f.template operator()<256>();
      return true;
    default:
      return false;
  }
}

}  // namespace tca::cuda
