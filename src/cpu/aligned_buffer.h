// Scratch memory of kernels: aligned, uninitialised, so that untouched parts cost nothing.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "cpu/kernels.h"

namespace tca::cpu {

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t bytes)
      : data_(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t(kAlignment)))) {}

  std::byte* data() const { return data_.get(); }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }

  static constexpr std::size_t round_up(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

 private:
  struct Free {
    void operator()(std::byte* data) const { ::operator delete[](data, std::align_val_t(kAlignment)); }
  };
  std::unique_ptr<std::byte[], Free> data_;
};

}  // namespace tca::cpu
