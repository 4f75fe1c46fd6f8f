#include "cuda/pinned_pool.h"

#include <algorithm>
#include <bit>

#include "cuda/device.h"

namespace tca::cuda {
namespace {

constexpr std::size_t kLeastBytes = std::size_t{16} << 10;
// Blocks come by the slab, because locking pages takes long, and may wait for the GPU.
constexpr std::size_t kSlabBytes = std::size_t{1} << 20;

}  // namespace

PinnedPool::~PinnedPool() {
  for (auto& [bytes, blocks] : free_) {
    for (const Block& block : blocks) {
      (void)cudaEventSynchronize(block.done);
      (void)cudaEventDestroy(block.done);
    }
  }
  for (void* slab : slabs_) (void)cudaFreeHost(slab);
}

void PinnedPool::grow(std::size_t size, Blocks& blocks) {
  const std::size_t count = std::max<std::size_t>(1, kSlabBytes / size);
  slabs_.reserve(slabs_.size() + 1);
  void* slab = nullptr;
  check(cudaMallocHost(&slab, count * size), "allocating host memory");
  slabs_.push_back(slab);
  for (std::size_t i = 0; i < count; ++i) {
    Block block{.data = static_cast<std::byte*>(slab) + i * size, .bytes = size, .done = nullptr};
    check(cudaEventCreateWithFlags(&block.done, cudaEventDisableTiming), "making an event");
    blocks.push_front(block);
  }
}

PinnedPool::Block PinnedPool::take(std::size_t bytes) {
  const std::size_t size = std::bit_ceil(std::max(bytes, kLeastBytes));
  const std::lock_guard lock(mutex_);
  Blocks& blocks = free_[size];
  if (blocks.empty() || cudaEventQuery(blocks.front().done) != cudaSuccess) {
    (void)cudaGetLastError();  // "not ready" is no failure of what comes next
    grow(size, blocks);
  }
  const Block block = blocks.front();
  blocks.pop_front();
  return block;
}

void PinnedPool::give_back(const Block& block, cudaStream_t stream) noexcept {
  // Where the event cannot be recorded, nothing tells when the copies are over.
  if (cudaEventRecord(block.done, stream) != cudaSuccess) (void)cudaStreamSynchronize(stream);
  give_back(block);
}

void PinnedPool::give_back(const Block& block) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    free_[block.bytes].push_back(block);
  } catch (...) {  // the host has no memory for the list: the block is lost until the pool goes
    (void)cudaEventSynchronize(block.done);
    (void)cudaEventDestroy(block.done);
  }
}

}  // namespace tca::cuda
