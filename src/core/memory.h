// Memory of a device: the host's here, a GPU's where there is one.
#pragma once

#include <cstddef>
#include <utility>

namespace tca {

class Memory {
 public:
  virtual ~Memory() = default;
  /// At least 64-byte aligned, uninitialised; throws kIo (host) or kOutOfBudget (GPU) naming the bytes.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void free(void* memory) noexcept = 0;
  /// Between this memory and the host's, in any direction, after all work given to the device before. What goes to the
  /// host has arrived, and what comes from the host may be changed, when the call returns.
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
};

Memory& host_memory();

/// A piece of memory with an owner; grows on demand, without keeping its content.
class MemoryBlock {
 public:
  MemoryBlock() = default;
  explicit MemoryBlock(Memory& memory) : memory_(&memory) {}
  MemoryBlock(MemoryBlock&& other) noexcept { swap(other); }
  MemoryBlock& operator=(MemoryBlock&& other) noexcept {
    swap(other);
    return *this;
  }
  ~MemoryBlock() { release(); }

  void* reserve(std::size_t bytes) {
    if (bytes <= bytes_) return data_;
    release();
    data_ = memory_->allocate(bytes);
    bytes_ = bytes;
    return data_;
  }
  void release() noexcept {
    if (data_ != nullptr) memory_->free(data_);
    data_ = nullptr;
    bytes_ = 0;
  }
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Memory& memory() const { return *memory_; }

 private:
  void swap(MemoryBlock& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  Memory* memory_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace tca
