// Views over caller-owned memory, and where in a GPU's order of work it is used. The library copies nothing it does not
// have to and owns no tensor of yours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tca {

enum class DType : std::uint8_t { kF32 = 0, kBF16 = 1, kF16 = 2 };

constexpr std::size_t dtype_size(DType dtype) { return dtype == DType::kF32 ? 4 : 2; }
constexpr std::string_view dtype_name(DType dtype) {
  return dtype == DType::kF32 ? "fp32" : dtype == DType::kBF16 ? "bf16" : "fp16";
}

/// Read-only view of [num_tokens, num_heads, head_dim]. head_dim is contiguous; strides count elements.
struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t num_tokens = 0;
  std::int32_t num_heads = 0;
  std::int32_t head_dim = 0;
  std::int64_t token_stride = 0;  // elements from one token to the next, >= head_dim
  std::int64_t head_stride = 0;   // elements from one head to the next, >= head_dim

  /// First element of one token's head.
  const void* row(std::int64_t token, std::int64_t head) const {
    return static_cast<const std::byte*>(data) +
           (token * token_stride + head * head_stride) * static_cast<std::int64_t>(dtype_size(dtype));
  }
  /// The same tensor, tokens [begin, begin + count) only.
  TensorView tokens(std::int64_t begin, std::int64_t count) const {
    TensorView view = *this;
    view.data = row(begin, 0);
    view.num_tokens = count;
    return view;
  }
};

/// The same, writable.
struct MutableTensorView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t num_tokens = 0;
  std::int32_t num_heads = 0;
  std::int32_t head_dim = 0;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;

  void* row(std::int64_t token, std::int64_t head) const {
    return static_cast<std::byte*>(data) +
           (token * token_stride + head * head_stride) * static_cast<std::int64_t>(dtype_size(dtype));
  }
  MutableTensorView tokens(std::int64_t begin, std::int64_t count) const {
    MutableTensorView view = *this;
    view.data = row(begin, 0);
    view.num_tokens = count;
    return view;
  }
  // NOLINTNEXTLINE(google-explicit-constructor): what can be written can be read
  operator TensorView() const { return {data, dtype, num_tokens, num_heads, head_dim, token_stride, head_stride}; }
};

/// A queue of one GPU: what is given to it runs in the order it was given. A stream of yours must live as long as the
/// backends, pools, caches and kept sets that were made on it.
struct Stream {
  std::int32_t device = 0;  // as CUDA counts them: CUDA_VISIBLE_DEVICES says which that is
  /// A cudaStream_t. Null is CUDA's legacy default stream, which takes turns with all streams of the device that were
  /// not made non-blocking. cudaStreamPerThread, which is another stream on every thread, is refused.
  void* handle = nullptr;
  bool operator==(const Stream&) const = default;
};

/// Views of dense row-major memory [num_tokens, num_heads, head_dim].
constexpr TensorView contiguous(const void* data, DType dtype, std::int64_t num_tokens, std::int32_t num_heads,
                                std::int32_t head_dim) {
  return {data, dtype, num_tokens, num_heads, head_dim, std::int64_t{num_heads} * head_dim, head_dim};
}
constexpr MutableTensorView contiguous(void* data, DType dtype, std::int64_t num_tokens, std::int32_t num_heads,
                                       std::int32_t head_dim) {
  return {data, dtype, num_tokens, num_heads, head_dim, std::int64_t{num_heads} * head_dim, head_dim};
}

}  // namespace tca
