#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/params.h"

namespace tca::cuda {

/// BlockOrder::kTokens, by the exact definition of tca::SelectParams: of the tokens [sinks, ends[h]) of head h the
/// counts[h] with the highest scores, and all of the others.
struct ChooseTokensArgs {
  const float* scores;         // [Hk, L] of choose() with scores_only
  const std::int32_t* ends;    // [Hk], at least min(sinks, L)
  const std::int32_t* counts;  // [Hk], at most ends[h] - sinks
  std::int32_t num_kv_heads, num_tokens, sinks;
  std::int32_t* last;  // [Hk, 2] for the kernels: key and position of the last token that is kept
  // Results, as in ChooseArgs
  std::uint64_t* bits;
  std::int32_t* prefix;
  std::int32_t* order;
};
cudaError_t choose_tokens(const ChooseTokensArgs& args, cudaStream_t stream);

}  // namespace tca::cuda
