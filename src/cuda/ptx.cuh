// The sm_90a instructions the kernels are built from, each in one line of PTX (PTX ISA 8.0, sections on mbarrier, TMA
// and wgmma).
#pragma once

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace tca::cuda::ptx {

__device__ __forceinline__ std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

__device__ __forceinline__ void mbarrier_init(std::uint64_t* bar, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(bar)), "r"(arrivals));
}
__device__ __forceinline__ void mbarrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void mbarrier_expect_bytes(std::uint64_t* bar, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(bar)), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void mbarrier_arrive(std::uint64_t* bar) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(bar)) : "memory");
}
__device__ __forceinline__ void mbarrier_wait(std::uint64_t* bar, int parity) {
  asm volatile(
      "{\n .reg .pred p;\n"
      "wait:\n mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n @p bra done;\n bra wait;\n done:\n}" ::"r"(
          shared_address(bar)),
      "r"(parity)
      : "memory");
}

/// Box of a 3-D tensor map into shared memory; completes on bar.
__device__ __forceinline__ void tma_load_3d(void* dst, const CUtensorMap* map, std::uint64_t* bar, int c0, int c1,
                                            int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::
          "r"(shared_address(dst)),
      "l"(map), "r"(shared_address(bar)), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
template <int kRegisters>
__device__ __forceinline__ void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void lower_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

__device__ __forceinline__ void named_barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void named_barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/// Keeps the compiler from moving reads of an accumulator across an asynchronous product.
template <int kCount>
__device__ __forceinline__ void pin(float (&r)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(r[i])::"memory");
}

/// Shared-memory matrix descriptor, 128-byte swizzle: 8 rows of 128 bytes make a 1024-byte atom. Atoms follow each
/// other every 1024 bytes in the strided direction; leading_bytes is the step between 64-element columns of atoms
/// (MN-major operands only).
__device__ __forceinline__ std::uint64_t descriptor(const void* p, int leading_bytes) {
  const std::uint64_t address = (shared_address(p) & 0x3FFFF) >> 4;
  return address | (std::uint64_t(leading_bytes >> 4) << 16) | (std::uint64_t(1024 >> 4) << 32) |
         (std::uint64_t(1) << 62);
}

__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Accumulators are listed by hand-rolled groups of 8 because PTX wants every register named.
#define TCA_R8(p, r, i) \
  p(r[i]), p(r[i + 1]), p(r[i + 2]), p(r[i + 3]), p(r[i + 4]), p(r[i + 5]), p(r[i + 6]), p(r[i + 7])
#define TCA_RW(x) "+f"(x)
#define TCA_R32(r, i) \
  TCA_R8(TCA_RW, r, i), TCA_R8(TCA_RW, r, i + 8), TCA_R8(TCA_RW, r, i + 16), TCA_R8(TCA_RW, r, i + 24)
#define TCA_NAMES_32                                                                                                \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, " \
  "%24, %25, %26, %27, %28, %29, %30, %31}"
#define TCA_NAMES_64                                                                                                \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, " \
  "%24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, "  \
  "%46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}"

/// D[64, 128] (+)= A[64, 16] B[16, 128]: A and B in shared memory, both K-major.
template <class T>
__device__ __forceinline__ void wgmma_ss(float (&acc)[64], std::uint64_t desc_a, std::uint64_t desc_b, int accumulate) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    asm volatile(
        "{\n .reg .pred p;\n setp.ne.b32 p, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " TCA_NAMES_64 ", %64, %65, p, 1, 1, 0, 0;\n}"
        : TCA_R32(acc, 0), TCA_R32(acc, 32)
        : "l"(desc_a), "l"(desc_b), "r"(accumulate));
  } else {
    asm volatile(
        "{\n .reg .pred p;\n setp.ne.b32 p, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 " TCA_NAMES_64 ", %64, %65, p, 1, 1, 0, 0;\n}"
        : TCA_R32(acc, 0), TCA_R32(acc, 32)
        : "l"(desc_a), "l"(desc_b), "r"(accumulate));
  }
}
/// D[64, N] += A[64, 16] B[16, N]: A in registers, B in shared memory with N contiguous (MN-major). N = 128 or 64 by
/// the accumulator's size.
template <class T>
__device__ __forceinline__ void wgmma_rs(float (&acc)[64], const std::uint32_t* a, std::uint64_t desc_b) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " TCA_NAMES_64
                 ", {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
                 : TCA_R32(acc, 0), TCA_R32(acc, 32)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(desc_b));
  } else {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 " TCA_NAMES_64
                 ", {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
                 : TCA_R32(acc, 0), TCA_R32(acc, 32)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(desc_b));
  }
}
template <class T>
__device__ __forceinline__ void wgmma_rs(float (&acc)[32], const std::uint32_t* a, std::uint64_t desc_b) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " TCA_NAMES_32
                 ", {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
                 : TCA_R32(acc, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(desc_b));
  } else {
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 " TCA_NAMES_32
                 ", {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
                 : TCA_R32(acc, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(desc_b));
  }
}

template <class T>
__device__ __forceinline__ std::uint32_t pack2(float lo, float hi) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    const __nv_bfloat162 r = __floats2bfloat162_rn(lo, hi);
    return reinterpret_cast<const std::uint32_t&>(r);
  } else {
    const __half2 r = __floats2half2_rn(lo, hi);
    return reinterpret_cast<const std::uint32_t&>(r);
  }
}

}  // namespace tca::cuda::ptx
