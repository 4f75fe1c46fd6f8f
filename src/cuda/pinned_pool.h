// Host memory that the GPU copies from and to by itself, so that nobody waits for a copy.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

namespace tca::cuda {

/// Blocks of page-locked memory for one GPU, used again and again. Thread-safe; callers hold a DeviceGuard.
class PinnedPool {
 public:
  struct Block {
    std::byte* data = nullptr;
    std::size_t bytes = 0;
    cudaEvent_t done = nullptr;  // of the copies that use it
  };

  PinnedPool() = default;
  ~PinnedPool();  // all blocks are back; waits for copies that are still queued
  PinnedPool(const PinnedPool&) = delete;
  PinnedPool& operator=(const PinnedPool&) = delete;

  /// At least `bytes` that no queued copy uses.
  Block take(std::size_t bytes);
  /// To be taken again when everything queued on `stream` until now is over.
  void give_back(const Block& block, cudaStream_t stream) noexcept;
  /// The same of a block whose event says already when that is.
  void give_back(const Block& block) noexcept;

 private:
  using Blocks = std::deque<Block>;  // those given back first come first
  void grow(std::size_t size, Blocks& blocks);

  std::mutex mutex_;
  std::vector<void*> slabs_;
  std::map<std::size_t, Blocks> free_;  // by size
};

}  // namespace tca::cuda
