#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/params.h"

namespace tca::cuda {

/// Attention of the probe queries over past and segment; raw (not yet pooled) importance of every key of the segment:
/// the sum over probes and query heads, or their maximum. P g rows a KV head are done in passes of at most 256.
struct ProbeArgs {
  const void* q;  // [P, Hq, d], the segment's last P queries, or with probes_follow what comes after it
  std::int64_t q_token_stride;
  KeySource segment;  // num_rows = L
  KeySource past;     // data null: none
  std::int32_t num_probes, num_heads, num_kv_heads, head_dim;
  float scale;
  float* partial;      // probe_partial_floats(): [Hk, chunks of past + segment, 2, rows of a pass]
  float* lse;          // [Hk, P g]
  float* raw;          // [Hk, L]
  bool probes_follow;  // every probe sees every key
  bool maximum;        // instead of sums
};

/// Keys one thread block walks: enough blocks to fill the chip at 8K tokens, few enough partial results at 128K.
inline constexpr int kProbeChunk = 512;
std::int64_t probe_partial_floats(const ProbeArgs& args);
/// T is __nv_bfloat16 or __half.
template <class T>
cudaError_t probe(const ProbeArgs& args, cudaStream_t stream);

}  // namespace tca::cuda
