// Tensors of one call in GPU memory, in a form the kernels take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cuda/device.h"
#include "tca/tensor.h"

namespace tca::cuda {

/// What a call needs of the GPU's memory, and how its results get to where the caller wants them. Memory that the
/// kernels can use as it is stays where it is: heads side by side, rows at multiples of 16 bytes. Everything lives as
/// long as this object; freeing is in stream order, so kernels that are still queued lose nothing.
/// Tensors in the host's memory, of whatever kind, are copied: finish() waits until they have been read and written.
class Staging {
 public:
  explicit Staging(Device& device) : guard_(device.ordinal()), device_(device) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  Device& device() const { return device_; }
  cudaStream_t stream() const { return device_.stream(); }

  /// What `other` has queued comes before what this call queues from here on; what it will queue when this call is over
  /// comes behind. For memory that is made, written and freed on another stream, which has to outlive this object.
  void borrow_from(const Device& other);

  /// Uninitialised; `bytes` may be 0.
  void* allocate(std::size_t bytes);
  template <class T>
  T* allocate_array(std::int64_t count) {
    return static_cast<T*>(allocate(static_cast<std::size_t>(count) * sizeof(T)));
  }
  /// A copy of host memory.
  template <class T>
  const T* upload(std::span<const T> values) {
    return static_cast<const T*>(upload_bytes(values.data(), values.size_bytes()));
  }
  template <class T>
  const T* upload(const std::vector<T>& values) {
    return upload(std::span<const T>(values));
  }

  /// The same elements with head_stride == head_dim. The name is for messages.
  TensorView input(const char* name, const TensorView& view);
  std::span<const float> input(const char* name, std::span<const float> values);
  /// Where kernels put a result of `dtype` that finish() brings to `view`.
  MutableTensorView output(const char* name, const MutableTensorView& view, DType dtype);
  /// The same for floats; null for none.
  float* output(const char* name, std::span<float> values);

  /// Queues conversions and copies of the results, and waits if anything lies in host memory.
  void finish();

 private:
  struct TensorResult {
    MutableTensorView from, to;
    std::vector<std::byte> host;  // what arrives, when rows have to be spread out
  };
  struct FloatResult {
    const float* from;
    std::span<float> to;
  };
  const void* upload_bytes(const void* from, std::size_t bytes);
  /// Of a caller's memory, which finish() waits for.
  const void* copy_from_host(const void* from, std::size_t bytes);

  DeviceGuard guard_;
  Device& device_;
  std::vector<const Device*> borrowed_;
  bool waits_ = false;
  std::vector<MemoryBlock> blocks_;
  std::vector<TensorResult> tensors_;
  std::vector<FloatResult> floats_;
};

}  // namespace tca::cuda
