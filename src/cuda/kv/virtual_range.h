// A range of GPU addresses whose memory comes and goes in chunks.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <vector>

namespace tca::cuda {

/// Addresses are reserved once and never move; physical memory of one GPU is mapped to chunks on demand. Not
/// thread-safe.
class VirtualRange {
 public:
  /// Throws kOutOfBudget when the addresses cannot be had, kUnsupported where the driver has no such memory.
  /// chunk_bytes is a multiple of granularity().
  VirtualRange(int device, std::size_t chunk_bytes, std::size_t num_chunks);
  ~VirtualRange();
  VirtualRange(const VirtualRange&) = delete;
  VirtualRange& operator=(const VirtualRange&) = delete;

  static std::size_t granularity(int device);

  std::byte* base() const { return reinterpret_cast<std::byte*>(base_); }
  bool is_mapped(std::size_t chunk) const { return mapped_[chunk]; }
  std::size_t num_chunks() const { return mapped_.size(); }
  /// False when the GPU has no memory left.
  bool map(std::size_t chunk) noexcept;
  /// The caller makes sure that the GPU has finished with the chunk.
  void unmap(std::size_t chunk) noexcept;

 private:
  int device_;
  std::size_t chunk_bytes_;
  CUdeviceptr base_ = 0;
  std::vector<bool> mapped_;
  std::vector<CUmemGenericAllocationHandle> handles_;
};

}  // namespace tca::cuda
