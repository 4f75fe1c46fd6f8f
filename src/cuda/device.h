// The GPU: one stream that orders all of libtca's work on it, its memory, and what kernels ask about it.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <string>

#include "core/memory.h"

namespace tca::cuda {

/// Throws kUnsupported (no GPU, no driver), kOutOfBudget (memory) or kIo (everything else) naming what was done and
/// what CUDA said.
void check(cudaError_t error, const char* what);

/// One per process: CUDA device 0 (CUDA_VISIBLE_DEVICES says which that is). Threads may share it; their work runs one
/// after the other. Lives until the process ends.
class Device {
 public:
  /// Throws kUnsupported with CUDA's words when there is no usable GPU (compute capability 8.0 or more).
  static Device& get();
  /// Whether get() would return; never throws.
  static bool available() noexcept;

  cudaStream_t stream() const { return stream_; }
  void synchronize() const;
  int num_sms() const { return num_sms_; }
  int compute_capability() const { return compute_capability_; }  // 90 for 9.0
  std::string description() const;                                // name, compute capability, memory

  /// Global memory; allocate and free take effect in stream order.
  Memory& memory() { return *memory_; }
  /// Whether an address lies in this GPU's memory.
  bool holds(const void* address) const;

 private:
  Device();
  cudaStream_t stream_ = nullptr;
  int num_sms_ = 0, compute_capability_ = 0;
  std::unique_ptr<Memory> memory_;
};

}  // namespace tca::cuda
