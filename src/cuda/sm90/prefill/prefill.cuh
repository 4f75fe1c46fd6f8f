// Prefill attention on Hopper: one producer warp feeds K and V tiles by TMA, two or three consumer warpgroups compute.
// Each query tile walks two lists with one online softmax: the window segment of the dense K/V (its causal diagonal
// first), then the prefix of the compacted kept K/V. Overlap inside a warpgroup (the next S product runs under this
// softmax) and between warpgroups (they take turns issuing products) follows the schedule published with
// FlashAttention-3 (arXiv 2407.08608). docs/kernels/prefill_sm90.md has the arithmetic.
#pragma once

#include <cmath>

#include "cuda/ptx.cuh"
#include "cuda/sm90/prefill/config.h"
#include "cuda/sm90/prefill/prefill.h"
#include "cuda/tensor_map.h"
#include "cuda/tile_list.cuh"

namespace tca::cuda::sm90 {

struct PrefillMaps {
  CUtensorMap q, k, v, kept_k, kept_v;
};

/// Slot of a ring of kStages with the phase bit its barrier waits for.
template <int kStages>
struct Ring {
  int slot = 0, phase = 0;
  __device__ void advance() {
    if (++slot == kStages) slot = 0, phase ^= 1;
  }
};

template <class Config, class Shared>
__device__ __forceinline__ void produce(Shared& s, const PrefillMaps& maps, const TileList& list, int head, int kv_head,
                                        int query0, int base_row) {
  ptx::mbarrier_expect_bytes(&s.q_full, Config::kQBytes);
  for (int c = 0; c < Config::kChunks; ++c) {
    ptx::tma_load_3d(s.q + c * Config::kRows * 128, &maps.q, &s.q_full, c * 64, head, query0);
  }
  Ring<Config::kStages> ring;
  const int n = list.size();
  for (int i = 0; i < n; ++i, ring.advance()) {
    bool is_kept;
    const int tile = list.tile(i, is_kept);
    const int first = tile * Config::kKeys + (is_kept ? 0 : list.window_begin);
    // The dense maps are (d, head, token), the compacted ones (d, 1, row).
    const int c1 = is_kept ? 0 : kv_head, c2 = is_kept ? base_row + first : first;
    const CUtensorMap* k = is_kept ? &maps.kept_k : &maps.k;
    const CUtensorMap* v = is_kept ? &maps.kept_v : &maps.v;
    ptx::mbarrier_wait(&s.k_empty[ring.slot], ring.phase ^ 1);
    ptx::mbarrier_expect_bytes(&s.k_full[ring.slot], Config::kTileBytes);
    for (int c = 0; c < Config::kChunks; ++c) {
      ptx::tma_load_3d(s.k[ring.slot] + c * Config::kKeys * 128, k, &s.k_full[ring.slot], c * 64, c1, c2);
    }
    ptx::mbarrier_wait(&s.v_empty[ring.slot], ring.phase ^ 1);
    ptx::mbarrier_expect_bytes(&s.v_full[ring.slot], Config::kTileBytes);
    for (int c = 0; c < Config::kChunks; ++c) {
      ptx::tma_load_3d(s.v[ring.slot] + c * Config::kKeys * 128, v, &s.v_full[ring.slot], c * 64, c1, c2);
    }
  }
}

/// Running softmax of the two rows a thread holds (row and row + 8 of its warp's 16).
struct SoftmaxRows {
  float max[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0.f, 0.f};  // of this thread's columns; reduced over the quad at the end

  /// scores -> probabilities in place; returns in rescale what earlier output must be multiplied by.
  template <bool kMasked>
  __device__ __forceinline__ void step(float (&s)[64], float scale_log2, float (&rescale)[2]) {
    float m[2] = {max[0], max[1]};
#pragma unroll
    for (int i = 0; i < 64; ++i) m[(i >> 1) & 1] = fmaxf(m[(i >> 1) & 1], s[i]);
    float base[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      m[r] = fmaxf(m[r], __shfl_xor_sync(0xffffffffu, m[r], 1));
      m[r] = fmaxf(m[r], __shfl_xor_sync(0xffffffffu, m[r], 2));
      // A row may see nothing in a masked tile: its maximum is then still -inf and must not turn -inf - -inf into NaN.
      const float safe = kMasked && m[r] == -INFINITY ? 0.f : m[r];
      base[r] = safe * scale_log2;
      rescale[r] = ptx::exp2_approx(max[r] * scale_log2 - base[r]);
      max[r] = m[r];
      sum[r] *= rescale[r];
    }
#pragma unroll
    for (int i = 0; i < 64; ++i) {
      const int r = (i >> 1) & 1;
      s[i] = ptx::exp2_approx(fmaf(s[i], scale_log2, -base[r]));
      sum[r] += s[i];
    }
  }
};

/// Columns [lo, hi] of a tile are visible for each of the thread's two rows.
__device__ __forceinline__ void mask_tile(float (&s)[64], const int (&lo)[2], const int (&hi)[2], int lane) {
#pragma unroll
  for (int i = 0; i < 64; ++i) {
    const int r = (i >> 1) & 1, column = (i >> 2) * 8 + (lane & 3) * 2 + (i & 1);
    if (column < lo[r] || column > hi[r]) s[i] = -INFINITY;
  }
}

template <class Config, class T, class Shared>
struct Consumer {
  static constexpr int kOut = Config::kHeadDim / 2;
  Shared& s;
  const PrefillArgs& a;
  const TileList& list;
  int window, group, lane;
  int row[2];           // token of the thread's rows
  int kept_visible[2];  // compacted rows each row sees
  float scale_log2;
  float out[kOut];
  float scores[64];
  std::uint32_t p[32];
  SoftmaxRows softmax;
  Ring<Config::kStages> k_ring, v_ring;

  __device__ __forceinline__ void issue_scores() {
    const std::uint64_t q = ptx::descriptor(s.q + group * 64 * 128, 0);
    const std::uint64_t k = ptx::descriptor(s.k[k_ring.slot], 0);
    ptx::pin(scores);
    ptx::wgmma_fence();
#pragma unroll
    for (int c = 0; c < Config::kChunks; ++c) {
#pragma unroll
      for (int x = 0; x < 4; ++x) {  // 16 elements = 32 bytes = 2 descriptor units
        ptx::wgmma_ss<T>(scores, q + c * (Config::kRows * 128 / 16) + 2 * x, k + c * (Config::kKeys * 128 / 16) + 2 * x,
                         c + x > 0);
      }
    }
    ptx::wgmma_commit();
  }
  __device__ __forceinline__ void issue_output() {
    const std::uint64_t v = ptx::descriptor(s.v[v_ring.slot], Config::kKeys * 128);
    ptx::pin(out);
    ptx::wgmma_fence();
#pragma unroll
    for (int x = 0; x < Config::kKeys / 16; ++x) ptx::wgmma_rs<T>(out, p + 4 * x, v + x * (16 * 128 / 16));
    ptx::wgmma_commit();
  }
  __device__ __forceinline__ void pack_probabilities() {
#pragma unroll
    for (int i = 0; i < 32; ++i) p[i] = ptx::pack2<T>(scores[2 * i], scores[2 * i + 1]);
  }
  __device__ __forceinline__ void release(std::uint64_t* empty, Ring<Config::kStages>& ring) {
    if (lane == 0) ptx::mbarrier_arrive(&empty[ring.slot]);
    ring.advance();
  }
  __device__ __forceinline__ void mask(int index) {
    bool is_kept;
    const int tile = list.tile(index, is_kept);
    const int first = tile * Config::kKeys + (is_kept ? 0 : list.window_begin);
    int lo[2], hi[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      lo[r] = is_kept ? 0 : row[r] - window + 1 - first;
      hi[r] = is_kept ? kept_visible[r] - 1 - first : row[r] - first;
    }
    mask_tile(scores, lo, hi, lane);
  }
  template <bool kMasked>
  __device__ __forceinline__ void turn(int index) {
    ptx::mbarrier_wait(&s.k_full[k_ring.slot], k_ring.phase);
    take_turn();
    issue_scores();
    ptx::mbarrier_wait(&s.v_full[v_ring.slot], v_ring.phase);
    issue_output();
    pass_turn();
    ptx::wgmma_wait<1>();
    ptx::pin(scores);
    release(s.k_empty, k_ring);
    if constexpr (kMasked) mask(index);
    float rescale[2];
    softmax.template step<kMasked>(scores, scale_log2, rescale);
    ptx::wgmma_wait<0>();
    ptx::pin(out);
    release(s.v_empty, v_ring);
#pragma unroll
    for (int i = 0; i < kOut; ++i) out[i] *= rescale[(i >> 1) & 1];
    pack_probabilities();
  }
  // Warpgroups take turns issuing products, so that one computes exponentials while another multiplies. Barriers 1..
  // are theirs.
  __device__ __forceinline__ void take_turn() { ptx::named_barrier_sync(1 + group, 256); }
  __device__ __forceinline__ void pass_turn() {
    ptx::named_barrier_arrive(1 + (group + 1 == Config::kConsumers ? 0 : group + 1), 256);
  }

  __device__ __forceinline__ void run() {
#pragma unroll
    for (int i = 0; i < kOut; ++i) out[i] = 0.f;
    if (group == Config::kConsumers - 1) ptx::named_barrier_arrive(1, 256);
    ptx::mbarrier_wait(&s.q_full, 0);
    ptx::mbarrier_wait(&s.k_full[k_ring.slot], k_ring.phase);
    take_turn();
    issue_scores();
    pass_turn();
    ptx::wgmma_wait<0>();
    ptx::pin(scores);
    release(s.k_empty, k_ring);
    mask(0);
    float rescale[2];
    softmax.template step<true>(scores, scale_log2, rescale);
    pack_probabilities();
    const int masked = list.num_masked(), n = list.size();
#pragma unroll 1
    for (int i = 1; i < masked; ++i) turn<true>(i);
#pragma unroll 1
    for (int i = masked; i < n; ++i) turn<false>(i);
    ptx::mbarrier_wait(&s.v_full[v_ring.slot], v_ring.phase);
    issue_output();
    ptx::wgmma_wait<0>();
    ptx::pin(out);
  }

  __device__ __forceinline__ void store(int head) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float sum = softmax.sum[r];
      sum += __shfl_xor_sync(0xffffffffu, sum, 1);
      sum += __shfl_xor_sync(0xffffffffu, sum, 2);
      if (row[r] >= a.num_tokens) continue;
      const float inverse = 1.f / sum;
      T* dst = static_cast<T*>(a.out) + (row[r] - a.query_begin) * a.out_token_stride +
               static_cast<std::int64_t>(head) * Config::kHeadDim;
#pragma unroll
      for (int i = 0; i < Config::kHeadDim / 8; ++i) {
        const std::uint32_t two = ptx::pack2<T>(out[4 * i + 2 * r] * inverse, out[4 * i + 2 * r + 1] * inverse);
        *reinterpret_cast<std::uint32_t*>(dst + i * 8 + (lane & 3) * 2) = two;
      }
      if (a.lse != nullptr && (lane & 3) == 0) {
        a.lse[static_cast<std::int64_t>(row[r] - a.query_begin) * a.num_heads + head] =
            softmax.max[r] * a.scale + logf(sum);
      }
    }
  }
};

template <int kHeadDim, class T>
__global__ void __launch_bounds__(PrefillConfig<kHeadDim>::kThreads, 1)
    prefill_kernel(const __grid_constant__ PrefillArgs a, const __grid_constant__ PrefillMaps maps) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using Config = PrefillConfig<kHeadDim>;
  using Shared = PrefillShared<Config>;
  extern __shared__ std::uint8_t raw[];
  Shared& s = *reinterpret_cast<Shared*>((reinterpret_cast<std::uintptr_t>(raw) + 1023) & ~std::uintptr_t{1023});
  const auto [head, kv_head, row0] = assign_tile<Config::kRows>(a);
  const int window = effective_window(a, kv_head);
  const TileList list = make_tile_list<Config::kRows, Config::kKeys>(a, kv_head, row0, window);

  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&s.q_full, 1);
    for (int i = 0; i < Config::kStages; ++i) {
      ptx::mbarrier_init(&s.k_full[i], 1);
      ptx::mbarrier_init(&s.v_full[i], 1);
      ptx::mbarrier_init(&s.k_empty[i], 4 * Config::kConsumers);  // one arrival a warp
      ptx::mbarrier_init(&s.v_empty[i], 4 * Config::kConsumers);
    }
    ptx::mbarrier_init_fence();
  }
  __syncthreads();
  const int warpgroup = threadIdx.x / 128;
  if (warpgroup == 0) {
    ptx::lower_registers<Config::kProducerRegisters>();
    if (threadIdx.x == 0) {
      const int base_row = a.rows.k != nullptr ? static_cast<int>(a.rows.base[kv_head]) : 0;
      produce<Config>(s, maps, list, head, kv_head, row0 - a.query_begin, base_row);
    }
  } else {
    ptx::raise_registers<Config::kConsumerRegisters>();
    const int thread = threadIdx.x % 128, lane = threadIdx.x % 32, group = warpgroup - 1;
    const int row = row0 + group * 64 + (thread / 32) * 16 + lane / 4;
    Consumer<Config, T, Shared> consumer{
        s, a, list, window, group, lane, {row, row + 8}, {0, 0}, a.scale * 1.44269504f};
    for (int r = 0; r < 2; ++r) {
      consumer.kept_visible[r] = rows_before(a, kv_head, min(consumer.row[r], a.num_tokens - 1) - window + 1);
    }
    consumer.run();
    consumer.store(head);
  }
#else
  __trap();
#endif
}

template <int kHeadDim, class T>
cudaError_t prefill(const PrefillArgs& a, cudaStream_t stream) {
  using Config = PrefillConfig<kHeadDim>;
  constexpr auto kType =
      std::is_same_v<T, __nv_bfloat16> ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  PrefillMaps maps;
  const auto dense = [&](CUtensorMap* map, const void* data, int tokens, int heads, std::int64_t token_stride,
                         int box_tokens) {
    return make_tensor_map(map, {.type = kType,
                                 .data = data,
                                 .dims = {kHeadDim, unsigned(heads), unsigned(tokens)},
                                 .strides = {kHeadDim * 2, static_cast<std::uint64_t>(token_stride) * 2},
                                 .box = {64, 1, unsigned(box_tokens)}});
  };
  const auto compact = [&](CUtensorMap* map, const void* data) {
    return make_tensor_map(map, {.type = kType,
                                 .data = data,
                                 .dims = {kHeadDim, 1, static_cast<std::uint64_t>(a.rows.num_rows)},
                                 .strides = {kHeadDim * 2, kHeadDim * 2},
                                 .box = {64, 1, Config::kKeys}});
  };
  cudaError_t e = dense(&maps.q, a.q, a.num_tokens - a.query_begin, a.num_heads, a.q_token_stride, Config::kRows);
  if (e == cudaSuccess) e = dense(&maps.k, a.k, a.num_tokens, a.num_kv_heads, a.k_token_stride, Config::kKeys);
  if (e == cudaSuccess) e = dense(&maps.v, a.v, a.num_tokens, a.num_kv_heads, a.v_token_stride, Config::kKeys);
  if (e == cudaSuccess && a.rows.k != nullptr) e = compact(&maps.kept_k, a.rows.k);
  if (e == cudaSuccess && a.rows.k != nullptr) e = compact(&maps.kept_v, a.rows.v);
  if (e != cudaSuccess) return e;
  const auto kernel = prefill_kernel<kHeadDim, T>;
  constexpr int kBytes = sizeof(PrefillShared<Config>) + 1024;
  e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (e != cudaSuccess) return e;
  const int tiles = (a.num_tokens - a.query_begin + Config::kRows - 1) / Config::kRows;
  kernel<<<tiles * a.num_heads, Config::kThreads, kBytes, stream>>>(a, maps);
  return cudaGetLastError();
}

}  // namespace tca::cuda::sm90
