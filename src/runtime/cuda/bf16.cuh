// Eight bf16 elements at a time: one 16-byte access.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace tca::runtime::gpu {

struct Floats8 {
  float value[8];
};

__device__ __forceinline__ Floats8 unpack(const uint4& raw) {
  Floats8 r;
  const std::uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    r.value[2 * i] = __uint_as_float(words[i] << 16);
    r.value[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
  return r;
}

__device__ __forceinline__ uint4 pack(const Floats8& x) {
  std::uint32_t words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(x.value[2 * i], x.value[2 * i + 1]);
    words[i] = reinterpret_cast<const std::uint32_t&>(pair);
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

/// Chunk `index` of eight elements.
__device__ __forceinline__ Floats8 load8(const void* base, std::int64_t index) {
  return unpack(static_cast<const uint4*>(base)[index]);
}
__device__ __forceinline__ void store8(void* base, std::int64_t index, const Floats8& x) {
  static_cast<uint4*>(base)[index] = pack(x);
}
__device__ __forceinline__ Floats8 load8(const float* base, std::int64_t index) {
  const float4 a = reinterpret_cast<const float4*>(base)[2 * index];
  const float4 b = reinterpret_cast<const float4*>(base)[2 * index + 1];
  return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}
__device__ __forceinline__ void store8(float* base, std::int64_t index, const Floats8& x) {
  reinterpret_cast<float4*>(base)[2 * index] = make_float4(x.value[0], x.value[1], x.value[2], x.value[3]);
  reinterpret_cast<float4*>(base)[2 * index + 1] = make_float4(x.value[4], x.value[5], x.value[6], x.value[7]);
}

}  // namespace tca::runtime::gpu
