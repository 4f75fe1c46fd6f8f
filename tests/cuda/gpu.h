// What tests on a GPU share: skipping without one, and tensors in its memory.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/half.h"
#include "cuda/device.h"
#include "tca/backend.h"

namespace tca::cuda_test {

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::Device::available()) GTEST_SKIP() << "needs an NVIDIA GPU of compute capability 8.0 or more";
  }

  /// A backend with the prefill kernels of choice, or the GPU's own.
  std::unique_ptr<Backend> backend(const char* kernels = nullptr) {
    if (kernels != nullptr) ::setenv("TCA_CUDA_KERNELS", kernels, 1);
    std::unique_ptr<Backend> made = create_backend("cuda", pool_);
    ::unsetenv("TCA_CUDA_KERNELS");
    return made;
  }

  ThreadPool pool_{1};
};

/// Dense [tokens, heads, head_dim] in host memory.
struct HostTensor {
  HostTensor(DType dtype, std::int64_t tokens, std::int32_t heads, std::int32_t head_dim)
      : bytes(static_cast<std::size_t>(tokens * heads * head_dim) * dtype_size(dtype)),
        shape(contiguous(static_cast<void*>(nullptr), dtype, tokens, heads, head_dim)) {}

  /// Numbers in [-1, 1), the same on every platform.
  static HostTensor random(std::uint32_t seed, DType dtype, std::int64_t tokens, std::int32_t heads,
                           std::int32_t head_dim) {
    HostTensor t(dtype, tokens, heads, head_dim);
    std::uint32_t state = seed * 2654435761u + 12345;
    for (std::int64_t i = 0; i < tokens * heads * head_dim; ++i) {
      state = state * 1664525u + 1013904223u;
      store_element(t.bytes.data(), dtype, i, static_cast<float>(state >> 8) * 0x1p-23f - 1.0f);
    }
    return t;
  }
  MutableTensorView view() {
    MutableTensorView v = shape;
    v.data = bytes.data();
    return v;
  }
  float at(std::int64_t token, std::int32_t head, std::int32_t i) const {
    return load_element(bytes.data(), shape.dtype, (token * shape.num_heads + head) * shape.head_dim + i);
  }

  std::vector<std::byte> bytes;
  MutableTensorView shape;
};

/// A copy of host memory on the GPU.
struct GpuBytes {
  explicit GpuBytes(const std::vector<std::byte>& from) : block(cuda::Device::get()->memory()), size(from.size()) {
    block.reserve(size + 64);
    if (size > 0) cuda::Device::get()->memory().copy(block.data(), from.data(), size);
  }
  std::vector<std::byte> read() const {
    std::vector<std::byte> to(size);
    cuda::Device::get()->memory().copy(to.data(), block.data(), size);
    return to;
  }
  MutableTensorView view(MutableTensorView shape) const {
    shape.data = block.data();
    return shape;
  }

  MemoryBlock block;
  std::size_t size;
};

inline constexpr std::int32_t kHeadDims[] = {64, 96, 128, 256};
inline constexpr DType kHalves[] = {DType::kBF16, DType::kF16};

}  // namespace tca::cuda_test
