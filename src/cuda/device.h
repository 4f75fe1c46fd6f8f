// A GPU through one of its streams: what is queued there runs in order, and memory is given out and taken back in that
// order.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "core/memory.h"
#include "cuda/pinned_pool.h"
#include "tca/tensor.h"

namespace tca::cuda {

/// Throws kUnsupported (no GPU, no driver), kOutOfBudget (memory) or kIo (everything else) naming what was done and
/// what CUDA said.
void check(cudaError_t error, const char* what);

/// Makes a GPU the calling thread's current one for a while; the caller's is current again afterwards.
class DeviceGuard {
 public:
  explicit DeviceGuard(int ordinal) noexcept;
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

/// Shared by all that works on one stream: backends, pools, models, forward passes. Thread-safe; what threads queue
/// runs one after the other. Functions that queue something make the GPU current themselves; who calls CUDA with
/// stream() holds a DeviceGuard.
class Device : public std::enable_shared_from_this<Device> {
 public:
  /// The library's own stream of a GPU, for all who name none; lives until the process ends. Throws kUnsupported saying
  /// why when there is no such GPU, or one below compute capability 8.0.
  static std::shared_ptr<Device> get(int ordinal = 0);
  /// A stream of the caller's. The same object for the same stream, as long as somebody holds it.
  static std::shared_ptr<Device> on(const Stream& stream);
  /// Whether get() would return; never throws.
  static bool available(int ordinal = 0) noexcept;
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  int ordinal() const { return ordinal_; }
  cudaStream_t stream() const { return stream_; }
  Stream id() const { return {.device = ordinal_, .handle = stream_}; }
  bool is_same_stream(const Device& other) const { return id() == other.id(); }
  int num_sms() const { return num_sms_; }
  int compute_capability() const { return compute_capability_; }  // 90 for 9.0
  std::string description() const;                                // name, compute capability, memory

  void synchronize() const;
  /// What is queued here from now on runs after all that `other`, maybe on another GPU, was given until now. Nobody
  /// waits.
  void follow(const Device& other) const;

  /// Global memory; allocate and free take effect in stream order.
  Memory& memory() { return *memory_; }
  /// Queues a copy of host memory, which may be changed when this returns.
  void upload(void* to, const void* from, std::size_t bytes);
  PinnedPool& pinned() { return pinned_; }

  /// In whose memory an address lies; -1 for the host's, which pinned and managed memory counts as.
  static int gpu_of(const void* address) noexcept;
  /// Whether it is this GPU's. Throws kInvalidArgument naming `what` and the GPU when it is another's.
  bool holds(const void* address, std::string_view what) const;

 private:
  explicit Device(int ordinal) : ordinal_(ordinal) {}
  /// On a stream of its own, or the caller's.
  void open(const cudaStream_t* callers);

  int ordinal_;
  cudaStream_t stream_ = nullptr;
  bool owns_stream_ = false;
  int num_sms_ = 0, compute_capability_ = 0;
  mutable std::mutex event_mutex_;
  cudaEvent_t event_ = nullptr;  // marks a place in the stream for others that follow()
  PinnedPool pinned_;
  std::unique_ptr<Memory> memory_;
};

}  // namespace tca::cuda
