// The last queries of one layer, with which the tail of the KV cache is scored when it is thinned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tca/tensor.h"

namespace tca::runtime {

class ProbeRing {
 public:
  ProbeRing() = default;
  ProbeRing(std::int32_t capacity, std::int32_t num_heads, std::int32_t head_dim, DType dtype);

  /// q [n, Hq, d] after RoPE, oldest first, and their natural-log softmax denominators [n * Hq]. The last `capacity`
  /// of them stay.
  void push(const TensorView& q, std::span<const float> lse);

  std::int64_t size() const { return size_; }
  /// [size, Hq, d] and [size * Hq], in no particular order of age.
  TensorView queries() const;
  std::span<const float> lse() const;

  /// For session files: slots as they lie in memory, and the slot that the next query takes.
  std::int64_t next_slot() const { return next_; }
  std::span<const std::byte> query_bytes() const;
  /// Throws nothing; the caller has checked that both spans hold `size` <= capacity queries and next_slot < capacity.
  void restore(std::span<const std::byte> queries, std::span<const float> lse, std::int64_t size,
               std::int64_t next_slot);
  std::size_t bytes_per_query() const;

 private:
  std::int64_t capacity_ = 0, size_ = 0, next_ = 0;
  std::int32_t num_heads_ = 0, head_dim_ = 0;
  DType dtype_ = DType::kBF16;
  std::vector<std::byte> queries_;  // [capacity, Hq, d]
  std::vector<float> lse_;          // [capacity * Hq]
};

}  // namespace tca::runtime
