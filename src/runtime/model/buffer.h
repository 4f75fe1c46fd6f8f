// Uninitialised memory for activations and converted weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "core/check.h"

namespace tca::runtime {

/// Grows, never shrinks by itself, and does not keep its content when it grows: a prompt's activations are written
/// before they are read, and clearing hundreds of MiB first would cost as much as a layer's norm.
class Buffer {
 public:
  std::byte* reserve(std::size_t bytes) {
    if (bytes <= capacity_) return data_.get();
    release();
    constexpr auto kUnit = static_cast<std::size_t>(kAlignment);
    const std::size_t rounded = (bytes + kUnit - 1) / kUnit * kUnit;
    data_.reset(static_cast<std::byte*>(::operator new(rounded, kAlignment, std::nothrow)));
    if (data_ == nullptr) {
      fail(ErrorCategory::kIo, text("the system has no ", rounded,
                                    " bytes of memory left for activations; use a "
                                    "shorter context"));
    }
    capacity_ = rounded;
    return data_.get();
  }
  /// Room for n of them.
  float* floats(std::int64_t n) {
    reserve(static_cast<std::size_t>(n) * sizeof(float));
    return as<float>();
  }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }
  std::byte* data() const { return data_.get(); }
  std::size_t capacity() const { return capacity_; }
  void release() {
    data_.reset();
    capacity_ = 0;
  }

 private:
  static constexpr std::align_val_t kAlignment{64};  // one cache line, one AVX-512 register
  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t capacity_ = 0;
};

}  // namespace tca::runtime
