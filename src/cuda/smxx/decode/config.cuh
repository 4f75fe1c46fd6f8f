// Sizes of the decode kernel.
#pragma once

#include "cuda/params.h"

namespace tca::cuda::decode_detail {

constexpr int kRows = 16;         // query rows of a block: n g, padded; more rows take more blocks (blockIdx.y)
constexpr int kUnitKeys = 16;     // keys a warp takes at a time
constexpr int kMostSplits = 512;  // more than any GPU has SMs

/// kKilobytes: shared memory for the stages of a block. 192 on GPUs of data centres (24 KB a warp in flight keep an
/// H200's 4.3 TB/s busy at 800 ns latency with room to spare), 96 where a block may have 99.
template <int kHeadDim_, int kKilobytes>
struct Config {
  static constexpr int kHeadDim = kHeadDim_;
  static constexpr int kUnitElements = kUnitKeys * kHeadDim;  // of K; V follows
  static constexpr int kUnitBytes = kUnitElements * 4;
  static constexpr int kFit = kKilobytes * 1024 / kUnitBytes;  // units
  // Two stages a warp at the least.
  static constexpr int kWarps = kFit >= 16 ? 8 : kFit >= 8 ? 4 : 2;
  static constexpr int kThreads = kWarps * 32;
  static constexpr int kStages = kFit / kWarps > 6 ? 6 : kFit / kWarps;
  static constexpr int kBytes = kWarps * kStages * kUnitBytes;
  static_assert(kStages >= 2);
  // The stages are reused to merge the warps' outputs.
  static_assert(kBytes >= kWarps * kRows * (kHeadDim + 2) * 4);
  static_assert(kBytes >= (kRows * kMostSplits + 4 * kThreads + kRows * kHeadDim) * 4);  // merge_splits
};

}  // namespace tca::cuda::decode_detail
