#include "runtime/engine/probe_ring.h"

#include <algorithm>
#include <cstring>

namespace tca::runtime {

ProbeRing::ProbeRing(std::int32_t capacity, std::int32_t num_heads, std::int32_t head_dim, DType dtype)
    : capacity_(capacity), num_heads_(num_heads), head_dim_(head_dim), dtype_(dtype) {
  queries_.resize(static_cast<std::size_t>(capacity) * bytes_per_query());
  lse_.resize(static_cast<std::size_t>(std::int64_t{capacity} * num_heads));
}

std::size_t ProbeRing::bytes_per_query() const {
  return static_cast<std::size_t>(std::int64_t{num_heads_} * head_dim_) * dtype_size(dtype_);
}

void ProbeRing::push(const TensorView& q, std::span<const float> lse) {
  const auto heads = static_cast<std::size_t>(num_heads_);
  const std::size_t head_bytes = static_cast<std::size_t>(head_dim_) * dtype_size(dtype_);
  for (std::int64_t token = std::max<std::int64_t>(0, q.num_tokens - capacity_); token < q.num_tokens; ++token) {
    const auto slot = static_cast<std::size_t>(next_);
    for (std::size_t head = 0; head < heads; ++head) {
      std::memcpy(queries_.data() + slot * bytes_per_query() + head * head_bytes,
                  q.row(token, static_cast<std::int64_t>(head)), head_bytes);
    }
    std::copy_n(lse.begin() + token * num_heads_, heads, lse_.begin() + static_cast<std::ptrdiff_t>(slot * heads));
    next_ = (next_ + 1) % capacity_;
    size_ = std::min(size_ + 1, capacity_);
  }
}

TensorView ProbeRing::queries() const {
  return contiguous(static_cast<const void*>(queries_.data()), dtype_, size_, num_heads_, head_dim_);
}

std::span<const float> ProbeRing::lse() const {
  return std::span(lse_).first(static_cast<std::size_t>(size_ * num_heads_));
}

std::span<const std::byte> ProbeRing::query_bytes() const {
  return std::span(queries_).first(static_cast<std::size_t>(size_) * bytes_per_query());
}

void ProbeRing::restore(std::span<const std::byte> queries, std::span<const float> lse, std::int64_t size,
                        std::int64_t next_slot) {
  std::copy(queries.begin(), queries.end(), queries_.begin());
  std::copy(lse.begin(), lse.end(), lse_.begin());
  size_ = size;
  next_ = next_slot;
}

}  // namespace tca::runtime
