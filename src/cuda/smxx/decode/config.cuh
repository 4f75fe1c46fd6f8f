// Sizes of the decode kernel.
#pragma once

#include "cuda/params.h"

namespace tca::cuda::decode_detail {

constexpr int kRows = 16;         // query rows of a block: n g, padded; more rows take more blocks (blockIdx.y)
constexpr int kUnitKeys = 16;     // keys a warp takes at a time
constexpr int kMostSplits = 512;  // more than any GPU has SMs

template <int kHeadDim>
struct Config {
  static constexpr int kWarps = kHeadDim <= 128 ? 8 : 4;
  static constexpr int kThreads = kWarps * 32;
  static constexpr int kUnitElements = kUnitKeys * kHeadDim;  // of K; V follows
  // As many stages as fit in 192 KB: 24 KB a warp in flight keep 4.3 TB/s busy at 800 ns latency with room to spare.
  static constexpr int kStages = (192 * 1024) / (kWarps * kUnitElements * 4) > 6
                                     ? 6
                                     : (192 * 1024) / (kWarps * kUnitElements * 4);
  static constexpr int kBytes = kWarps * kStages * kUnitElements * 4;
  static_assert(kStages >= 2);
  // The stages are reused to merge the warps' outputs.
  static_assert(kBytes >= kWarps * kRows * (kHeadDim + 2) * 4);
  static_assert(kBytes >= (kRows * kMostSplits + 4 * kThreads + kRows * kHeadDim) * 4);  // merge_splits
};

}  // namespace tca::cuda::decode_detail
