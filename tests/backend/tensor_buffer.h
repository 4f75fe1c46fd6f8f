// Memory for test tensors in any layout, with NaN in every element that belongs to no row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tca/tensor.h"

namespace tca::backend_test {

enum class Layout {
  kTokenMajor,  // [tokens, heads, head_dim], dense
  kHeadMajor,   // [heads, tokens, head_dim], dense
  kPadded,      // gaps after every head and every token, rows at odd addresses
};

class TensorBuffer {
 public:
  TensorBuffer(DType dtype, std::int64_t num_tokens, std::int32_t num_heads, std::int32_t head_dim,
               Layout layout = Layout::kTokenMajor);

  MutableTensorView view() { return view_at(bytes_.data()); }
  TensorView view() const { return view_at(const_cast<std::byte*>(bytes_.data())); }
  /// Rounds value to the dtype.
  void set(std::int64_t token, std::int32_t head, std::int32_t i, double value);
  double at(std::int64_t token, std::int32_t head, std::int32_t i) const;
  /// False when somebody wrote between the rows, or before or after them.
  bool padding_intact() const;
  bool operator==(const TensorBuffer& other) const { return bytes_ == other.bytes_; }

  std::int64_t num_tokens() const { return shape_.num_tokens; }
  std::int32_t num_heads() const { return shape_.num_heads; }
  std::int32_t head_dim() const { return shape_.head_dim; }
  DType dtype() const { return shape_.dtype; }

 private:
  MutableTensorView view_at(std::byte* base) const;

  MutableTensorView shape_;
  std::int64_t first_ = 0;  // element where row (0, 0) begins
  std::vector<std::byte> bytes_;
};

}  // namespace tca::backend_test
