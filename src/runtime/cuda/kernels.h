// The steps of the forward pass between matrix products, on the GPU. Device pointers; 16-byte aligned rows (widths are
// multiples of 8); bf16 memory unless said otherwise, fp32 arithmetic. Every function queues one kernel and nothing
// else, so that graphs can record it.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/params.h"
#include "runtime/spec/model_spec.h"

namespace tca::runtime::gpu {

/// out [rows, width] fp32 = rows ids[r] of table [vocab, width], times scale.
cudaError_t embed(const void* table, const std::int32_t* ids, float scale, float* out, std::int64_t rows,
                  std::int32_t width, cudaStream_t stream);

/// out [rows, width] = x / sqrt(mean x^2 + eps) * weight; x [rows, width] and weight [width] fp32. Without a weight
/// (null): out = x.
cudaError_t rms_norm(const float* x, const float* weight, void* out, std::int64_t rows, std::int32_t width, float eps,
                     cudaStream_t stream);

/// x [rows, width] fp32 += factor * (branch + bias), or (branch + bias) / its rms * weight where there is a weight.
/// branch [rows, width] fp32 is overwritten; bias and weight [width] fp32 or null.
struct Branch {
  float* x;
  float* branch;
  const float* bias;
  const float* weight;
  std::int64_t rows;
  std::int32_t width;
  float eps, factor;
};
cudaError_t add_branch(const Branch& args, cudaStream_t stream);

/// x [rows, 2 inner] is gate | up: gate = activation(gate + bias) * (up + bias). bias [2 inner] fp32 or null.
cudaError_t activate(Activation activation, void* x, const float* bias, std::int64_t rows, std::int32_t inner,
                     cudaStream_t stream);

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
  const float* q_norm;  // [d], with row_scales [Hq, d], or null
  const float* k_norm;  // [d], with row_scales [Hk, d], or null
  float* row_scales;    // [rows, 2], norms of all heads as one: 1 / rms of q and of k (scale_rows()); else null
  const float* cos;     // [positions, d / 2]
  const float* sin;
  std::int64_t rows;
  std::int32_t num_heads, num_kv_heads, head_dim;  // Hq, Hk, d
  float eps;
  float q_factor;  // of queries
};
/// Fills row_scales.
cudaError_t scale_rows(const HeadArgs& args, cudaStream_t stream);

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

inline constexpr std::int32_t kMostExperts = 1024, kMostChosen = 32;
/// For every row the experts with the largest logits [rows, experts] fp32, ties to the lower, in ascending order:
/// chosen [rows, count] and their shares of the softmax, over all experts or (renormalise) over these.
struct Routing {
  const float* logits;
  std::int32_t* chosen;
  float* shares;
  std::int64_t rows;
  std::int32_t experts, count;
  bool renormalise;
};
cudaError_t route(const Routing& args, cudaStream_t stream);

/// out [slots, columns] = x [slots / rows_of_x, in] times rows [columns, in] of the weight of each slot's expert: the
/// weight is read once a slot, which suits few. Slot s has row s / slots_of_row of x.
struct ExpertProduct {
  const void* weight;  // [experts, columns, in]
  const void* x;
  std::int64_t x_stride;
  void* out;
  const std::int32_t* chosen;  // [slots]
  std::int64_t slots, in, columns;
  std::int32_t slots_of_row;
  bool out_fp32;
};
cudaError_t expert_product(const ExpertProduct& args, cudaStream_t stream);

/// out [slots, width] = row rows[s] of x [.., width]; zero where it is negative.
cudaError_t gather_rows(const void* x, const std::int32_t* rows, void* out, std::int64_t slots, std::int32_t width,
                        cudaStream_t stream);

/// out [rows, width] fp32 (+)= factor * sum of shares[r, j] * values[slots[r, j]], j ascending; values [.., width]
/// fp32.
struct Combination {
  const float* values;
  const std::int32_t* slots;  // [rows, count], or null: r * count + j
  const float* shares;        // [rows, count]
  float* out;
  std::int64_t rows;
  std::int32_t width, count;
  float factor;
  bool add;
};
cudaError_t combine(const Combination& args, cudaStream_t stream);

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
