// The steps of the forward pass between matrix products, on the GPU. Device pointers; 16-byte aligned rows (widths are
// multiples of 8); bf16 memory unless said otherwise, fp32 arithmetic. Every function queues one kernel and nothing
// else, so that graphs can record it.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/params.h"

namespace tca::runtime::gpu {

/// out [rows, width] fp32 = rows ids[r] of table [vocab, width].
cudaError_t embed(const void* table, const std::int32_t* ids, float* out, std::int64_t rows, std::int32_t width,
                  cudaStream_t stream);

/// out [rows, width] = x / sqrt(mean x^2 + eps) * weight; x [rows, width] and weight [width] fp32.
cudaError_t rms_norm(const float* x, const float* weight, void* out, std::int64_t rows, std::int32_t width, float eps,
                     cudaStream_t stream);

/// x [rows, 2 inner] is gate | up: gate = silu(gate + bias) * (up + bias). bias [2 inner] fp32 or null.
cudaError_t swiglu(void* x, const float* bias, std::int64_t rows, std::int32_t inner, cudaStream_t stream);

/// x [rows, width] fp32 += bias [width] fp32.
cudaError_t add_bias(float* x, const float* bias, std::int64_t rows, std::int32_t width, cudaStream_t stream);

/// count (a multiple of 8) elements of mean 0 and the given deviation, roughly normal: the sum of four uniform ones.
cudaError_t fill_random(void* out, std::int64_t count, float deviation, std::uint64_t seed, cudaStream_t stream);
/// count fp32 ones.
cudaError_t fill_ones(float* out, std::int64_t count, cudaStream_t stream);

/// Heads of the qkv product: bias, norm of the heads of q and k, rotation of the pairs (i, i + d / 2) of q and k.
struct HeadArgs {
  const void* qkv;      // [rows, (Hq + 2 Hk) d]
  const float* bias;    // [(Hq + 2 Hk) d] or null
  const float* q_norm;  // [d] or null
  const float* k_norm;  // [d] or null
  const float* cos;     // [positions, d / 2]
  const float* sin;
  std::int64_t rows;
  std::int32_t num_heads, num_kv_heads, head_dim;  // Hq, Hk, d
  float eps;
};

/// Rows of one segment, which begin at first_position.
struct SegmentHeads {
  HeadArgs heads;
  std::int64_t first_position;
  std::int64_t skip_q;  // this many leading rows have no q
  void* q;              // [rows - skip_q, Hq, d]
  void* k;              // [rows, Hk, d]
  void* v;              // [rows, Hk, d]
};
cudaError_t split_segment(const SegmentHeads& args, cudaStream_t stream);

/// Where a row's query and its softmax denominators are collected; null: nowhere.
struct Probe {
  void* queries;  // [slots, Hq, d]
  float* lse;     // [slots, Hq]
};

/// One token a row, each of its own sequence: k and v go to the last slot of every head, which the lengths count.
struct TokenHeads {
  HeadArgs heads;
  const std::int64_t* positions;  // [rows]
  const std::int64_t* slots;      // [rows] of the probes
  const Probe* probes;            // [rows]
  cuda::PagedLayer kv;
  void* q;  // [rows, Hq, d]
};
cudaError_t split_tokens(const TokenHeads& args, cudaStream_t stream);

/// probes[r].lse[slots[r]] = lse[r], of [rows, Hq].
cudaError_t collect_lse(const float* lse, const Probe* probes, const std::int64_t* slots, std::int64_t rows,
                        std::int32_t num_heads, cudaStream_t stream);

inline constexpr std::int64_t kMaxSkinnyRows = 8;
/// out [rows, columns] (+)= x [rows, in] weight[columns, in]^T for rows <= kMaxSkinnyRows: the weight is read once, at
/// the memory's speed. Every row's sums run in the same order, however many rows there are.
struct SkinnyProduct {
  const void* weight;
  const void* x;
  std::int64_t x_stride;
  void* out;
  std::int64_t out_stride;
  std::int64_t rows, in, columns;
  bool out_fp32, add;  // add: fp32 only
};
cudaError_t skinny_product(const SkinnyProduct& args, cudaStream_t stream);

}  // namespace tca::runtime::gpu
