#include "backend/tensor_buffer.h"

#include "core/half.h"

namespace tca::backend_test {
namespace {

// All bits set is a NaN in fp32, bf16 and fp16.
constexpr std::byte kPoison{0xff};
constexpr std::int64_t kGuard = 5;  // elements before and after padded rows: odd, to misalign them

}  // namespace

TensorBuffer::TensorBuffer(DType dtype, std::int64_t num_tokens, std::int32_t num_heads, std::int32_t head_dim,
                           Layout layout)
    : shape_{nullptr, dtype, num_tokens, num_heads, head_dim, std::int64_t{num_heads} * head_dim, head_dim} {
  if (layout == Layout::kHeadMajor) {
    shape_.token_stride = head_dim;
    shape_.head_stride = num_tokens * head_dim;
  } else if (layout == Layout::kPadded) {
    shape_.head_stride = head_dim + 3;
    shape_.token_stride = num_heads * shape_.head_stride + 7;
    first_ = kGuard;
  }
  // Nothing behind the last row of a dense layout, so that a memory checker sees a read past it.
  const std::int64_t last_row = (num_tokens - 1) * shape_.token_stride + (num_heads - 1) * shape_.head_stride;
  const std::int64_t elements = num_tokens == 0 ? 0 : 2 * first_ + last_row + head_dim;
  bytes_.assign(static_cast<std::size_t>(elements) * dtype_size(dtype), kPoison);
}

MutableTensorView TensorBuffer::view_at(std::byte* base) const {
  MutableTensorView view = shape_;
  view.data = base + static_cast<std::size_t>(first_) * dtype_size(shape_.dtype);
  return view;
}

void TensorBuffer::set(std::int64_t token, std::int32_t head, std::int32_t i, double value) {
  store_element(view().row(token, head), dtype(), i, static_cast<float>(value));
}

double TensorBuffer::at(std::int64_t token, std::int32_t head, std::int32_t i) const {
  return load_element(view().row(token, head), dtype(), i);
}

bool TensorBuffer::padding_intact() const {
  TensorBuffer copy = *this;
  const std::size_t row_bytes = static_cast<std::size_t>(head_dim()) * dtype_size(dtype());
  for (std::int64_t token = 0; token < num_tokens(); ++token) {
    for (std::int32_t head = 0; head < num_heads(); ++head) {
      auto* row = static_cast<std::byte*>(copy.view().row(token, head));
      std::fill_n(row, row_bytes, kPoison);
    }
  }
  for (const std::byte byte : copy.bytes_) {
    if (byte != kPoison) return false;
  }
  return true;
}

}  // namespace tca::backend_test
