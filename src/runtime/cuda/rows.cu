// Embedding, norm, activations: one thread block a row (or a piece of one), eight elements a thread.
#include "runtime/cuda/bf16.cuh"
#include "runtime/cuda/kernels.h"

namespace tca::runtime::gpu {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    embed_kernel(const void* table, const std::int32_t* ids, float scale, float* out, int chunks) {
  const std::int64_t row = blockIdx.x, id = ids[row];
  for (int c = threadIdx.x; c < chunks; c += kThreads) {
    Floats8 part = load8(table, id * chunks + c);
#pragma unroll
    for (int i = 0; i < 8; ++i) part.value[i] *= scale;
    store8(out, row * chunks + c, part);
  }
}

/// 1 / rms of a row of 8 chunks elements, of which each thread has added up the squares of its own.
__device__ __forceinline__ float inverse_rms(float sum, int chunks, float eps) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  __shared__ float sums[kThreads / 32];
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  float total = 0.f;
#pragma unroll
  for (int w = 0; w < kThreads / 32; ++w) total += sums[w];
  return rsqrtf(total / (8.f * chunks) + eps);
}

__global__ void __launch_bounds__(kThreads)
    rms_norm_kernel(const float* x, const float* weight, void* out, int chunks, float eps) {
  const std::int64_t row = blockIdx.x;
  if (weight == nullptr) {
    for (int c = threadIdx.x; c < chunks; c += kThreads) store8(out, row * chunks + c, load8(x, row * chunks + c));
    return;
  }
  float sum = 0.f;
  for (int c = threadIdx.x; c < chunks; c += kThreads) {
    const Floats8 part = load8(x, row * chunks + c);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum += part.value[i] * part.value[i];
  }
  const float scale = inverse_rms(sum, chunks, eps);
  // The row lies in L1 still.
  for (int c = threadIdx.x; c < chunks; c += kThreads) {
    Floats8 part = load8(x, row * chunks + c);
    const Floats8 factor = load8(weight, c);
#pragma unroll
    for (int i = 0; i < 8; ++i) part.value[i] *= scale * factor.value[i];
    store8(out, row * chunks + c, part);
  }
}

/// What the activation divides g by is 1 + exp(-this).
template <Activation kActivation>
__device__ __forceinline__ float exponent(float g) {
  if constexpr (kActivation == Activation::kSilu) return g;
  return g * (1.5957691216f + 0.0713548162726f * g * g);  // 2 sqrt(2 / pi) (g + 0.044715 g^3)
}

template <Activation kActivation>
__global__ void __launch_bounds__(kThreads) activate_kernel(void* x, const float* bias, int chunks) {
  const int c = blockIdx.y * kThreads + threadIdx.x;
  if (c >= chunks) return;
  const std::int64_t at = std::int64_t(blockIdx.x) * 2 * chunks + c;
  Floats8 gate = load8(x, at), up = load8(x, at + chunks);
  if (bias != nullptr) {
    const Floats8 of_gate = load8(bias, c), of_up = load8(bias, chunks + c);
#pragma unroll
    for (int i = 0; i < 8; ++i) gate.value[i] += of_gate.value[i], up.value[i] += of_up.value[i];
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    gate.value[i] *= up.value[i] / (1.f + __expf(-exponent<kActivation>(gate.value[i])));
  }
  store8(x, at, gate);
}

__global__ void __launch_bounds__(kThreads) add_branch_kernel(Branch a) {
  const std::int64_t row = blockIdx.x;
  const int chunks = a.width / 8;
  float sum = 0.f;
  for (int c = threadIdx.x; c < chunks; c += kThreads) {
    Floats8 part = load8(a.branch, row * chunks + c);
    if (a.bias != nullptr) {
      const Floats8 more = load8(a.bias, c);
#pragma unroll
      for (int i = 0; i < 8; ++i) part.value[i] += more.value[i];
      store8(a.branch, row * chunks + c, part);  // the same thread reads it again
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) sum += part.value[i] * part.value[i];
  }
  const float scale = a.weight == nullptr ? a.factor : inverse_rms(sum, chunks, a.eps);
  for (int c = threadIdx.x; c < chunks; c += kThreads) {
    const Floats8 part = load8(a.branch, row * chunks + c);
    Floats8 to = load8(a.x, row * chunks + c);
    Floats8 weight;
#pragma unroll
    for (int i = 0; i < 8; ++i) weight.value[i] = 1.f;
    if (a.weight != nullptr) weight = load8(a.weight, c);
#pragma unroll
    for (int i = 0; i < 8; ++i) to.value[i] += part.value[i] * scale * weight.value[i];
    store8(a.x, row * chunks + c, to);
  }
}

__global__ void __launch_bounds__(kThreads) add_bias_kernel(float* x, const float* bias, int chunks) {
  const std::int64_t row = blockIdx.x;
  for (int c = threadIdx.x; c < chunks; c += kThreads) {
    Floats8 part = load8(x, row * chunks + c);
    const Floats8 more = load8(bias, c);
#pragma unroll
    for (int i = 0; i < 8; ++i) part.value[i] += more.value[i];
    store8(x, row * chunks + c, part);
  }
}

/// SplitMix64's finaliser: a counter becomes 64 random bits.
__device__ __forceinline__ std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

__global__ void __launch_bounds__(kThreads)
    fill_random_kernel(void* out, std::int64_t chunks, float scale, std::uint64_t seed) {
  const std::int64_t stride = std::int64_t(gridDim.x) * kThreads;
  for (std::int64_t c = std::int64_t(blockIdx.x) * kThreads + threadIdx.x; c < chunks; c += stride) {
    Floats8 values;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const std::uint64_t bits = mix(seed * 0x9e3779b97f4a7c15ull + std::uint64_t(8 * c + i) + 1);
      float sum = 0.f;
#pragma unroll
      for (int part = 0; part < 4; ++part) sum += float((bits >> (16 * part)) & 0xffffu) - 32767.5f;
      values.value[i] = sum * scale;
    }
    store8(out, c, values);
  }
}

__global__ void __launch_bounds__(kThreads) fill_ones_kernel(float* out, std::int64_t count) {
  const std::int64_t i = std::int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) out[i] = 1.f;
}

unsigned blocks(std::int64_t items) { return static_cast<unsigned>((items + kThreads - 1) / kThreads); }

}  // namespace

cudaError_t embed(const void* table, const std::int32_t* ids, float scale, float* out, std::int64_t rows,
                  std::int32_t width, cudaStream_t stream) {
  embed_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(table, ids, scale, out, width / 8);
  return cudaGetLastError();
}

cudaError_t rms_norm(const float* x, const float* weight, void* out, std::int64_t rows, std::int32_t width, float eps,
                     cudaStream_t stream) {
  rms_norm_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(x, weight, out, width / 8, eps);
  return cudaGetLastError();
}

cudaError_t activate(Activation activation, void* x, const float* bias, std::int64_t rows, std::int32_t inner,
                     cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(rows), blocks(inner / 8));
  switch (activation) {
    case Activation::kSilu:
      activate_kernel<Activation::kSilu><<<grid, kThreads, 0, stream>>>(x, bias, inner / 8);
      break;
    case Activation::kGeluTanh:
      activate_kernel<Activation::kGeluTanh><<<grid, kThreads, 0, stream>>>(x, bias, inner / 8);
      break;
  }
  return cudaGetLastError();
}

cudaError_t add_branch(const Branch& args, cudaStream_t stream) {
  add_branch_kernel<<<static_cast<unsigned>(args.rows), kThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

cudaError_t add_bias(float* x, const float* bias, std::int64_t rows, std::int32_t width, cudaStream_t stream) {
  add_bias_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(x, bias, width / 8);
  return cudaGetLastError();
}

cudaError_t fill_random(void* out, std::int64_t count, float deviation, std::uint64_t seed, cudaStream_t stream) {
  // A uniform 16-bit number deviates by 65536 / sqrt(12) from its mean, the sum of four by twice that.
  const float scale = deviation * 3.4641016f / (2.f * 65536.f);
  constexpr unsigned kBlocks = 4096;  // enough for any GPU; a block then goes on
  const unsigned grid = blocks(count / 8) < kBlocks ? blocks(count / 8) : kBlocks;
  fill_random_kernel<<<grid, kThreads, 0, stream>>>(out, count / 8, scale, seed);
  return cudaGetLastError();
}

cudaError_t fill_ones(float* out, std::int64_t count, cudaStream_t stream) {
  fill_ones_kernel<<<blocks(count), kThreads, 0, stream>>>(out, count);
  return cudaGetLastError();
}

}  // namespace tca::runtime::gpu
