// Which GPU computes, and where in its order of work.
#pragma once

#include <cstdint>

namespace tca {

/// A queue of one GPU: what is given to it runs in the order it was given. A stream of yours must live as long as the
/// backends, pools, caches and kept sets that were made on it.
struct Stream {
  std::int32_t device = 0;  // as CUDA counts them: CUDA_VISIBLE_DEVICES says which that is
  /// A cudaStream_t. Null is CUDA's legacy default stream, which takes turns with all streams of the device that were
  /// not made non-blocking. cudaStreamPerThread, which is another stream on every thread, is refused.
  void* handle = nullptr;
  bool operator==(const Stream&) const = default;
};

}  // namespace tca
