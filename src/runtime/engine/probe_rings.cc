#include "runtime/engine/probe_rings.h"

#include <algorithm>
#include <cstring>

namespace tca::runtime {

ProbeRings::ProbeRings(Memory& memory, std::int32_t num_layers, std::int32_t capacity, std::int32_t num_heads,
                       std::int32_t head_dim, DType dtype)
    : num_layers_(num_layers),
      capacity_(capacity),
      num_heads_(num_heads),
      head_dim_(head_dim),
      dtype_(dtype),
      queries_(memory),
      lse_(memory) {
  queries_.reserve(static_cast<std::size_t>(num_layers_ * capacity_) * bytes_per_query());
  lse_.reserve(static_cast<std::size_t>(num_layers_ * capacity_) * bytes_per_lse());
  for (std::int32_t layer = 0; layer < num_layers; ++layer) {
    targets_.push_back({layer_queries(layer), reinterpret_cast<float*>(layer_lse(layer))});
  }
}

ProbeRings ProbeRings::of_same_shape() const {
  return {queries_.memory(),
          static_cast<std::int32_t>(num_layers_),
          static_cast<std::int32_t>(capacity_),
          num_heads_,
          head_dim_,
          dtype_};
}

ProbeRings ProbeRings::copy() const {
  if (empty()) return {};
  ProbeRings other = of_same_shape();
  other.place_ = place_;
  if (place_.size == 0) return other;
  queries_.memory().copy(other.queries_.data(), queries_.data(), queries_.bytes());
  lse_.memory().copy(other.lse_.data(), lse_.data(), lse_.bytes());
  return other;
}

ProbeRings ProbeRings::without_newest(std::int64_t count) const {
  if (empty()) return {};
  ProbeRings other = of_same_shape();
  const std::int64_t left = std::max<std::int64_t>(0, place_.size - count);
  // From the oldest on, round the end; they lie from slot 0 on then.
  const std::int64_t oldest = (place_.next_slot - place_.size + capacity_) % capacity_;
  const std::int64_t before_end = std::min(left, capacity_ - oldest);
  const auto copy_slots = [&](std::byte* to, const std::byte* from, std::size_t row_bytes) {
    const std::size_t bytes = static_cast<std::size_t>(before_end) * row_bytes;
    queries_.memory().copy(to, from + static_cast<std::size_t>(oldest) * row_bytes, bytes);
    queries_.memory().copy(to + bytes, from, static_cast<std::size_t>(left - before_end) * row_bytes);
  };
  for (std::int32_t layer = 0; layer < num_layers_; ++layer) {
    copy_slots(other.layer_queries(layer), layer_queries(layer), bytes_per_query());
    copy_slots(other.layer_lse(layer), layer_lse(layer), bytes_per_lse());
  }
  other.place_ = {left, left % capacity_};
  return other;
}

std::size_t ProbeRings::bytes_per_query() const {
  return static_cast<std::size_t>(std::int64_t{num_heads_} * head_dim_) * dtype_size(dtype_);
}

std::byte* ProbeRings::layer_queries(std::int32_t layer) const {
  return static_cast<std::byte*>(queries_.data()) + static_cast<std::size_t>(layer * capacity_) * bytes_per_query();
}

std::byte* ProbeRings::layer_lse(std::int32_t layer) const {
  return static_cast<std::byte*>(lse_.data()) + static_cast<std::size_t>(layer * capacity_) * bytes_per_lse();
}

void ProbeRings::advance(std::int64_t num_tokens) {
  if (empty()) return;
  const std::int64_t count = std::min(num_tokens, capacity_);
  place_.next_slot = (place_.next_slot + count) % capacity_;
  place_.size = std::min(place_.size + count, capacity_);
}

void ProbeRings::put(std::byte* ring, std::size_t row_bytes, const std::byte* rows, std::int64_t count) {
  const std::int64_t first_slot = (place_.next_slot - count + capacity_) % capacity_;
  const std::int64_t before_end = std::min(count, capacity_ - first_slot);
  const std::size_t bytes = static_cast<std::size_t>(before_end) * row_bytes;
  Memory& memory = queries_.memory();
  memory.copy(ring + static_cast<std::size_t>(first_slot) * row_bytes, rows, bytes);
  if (count > before_end) memory.copy(ring, rows + bytes, static_cast<std::size_t>(count - before_end) * row_bytes);
}

void ProbeRings::put_queries(std::int32_t layer, const TensorView& q) {
  const std::int64_t count = std::min(q.num_tokens, capacity_);
  put(layer_queries(layer), bytes_per_query(), static_cast<const std::byte*>(q.row(q.num_tokens - count, 0)), count);
}

void ProbeRings::put_lse(std::int32_t layer, const float* lse, std::int64_t n) {
  const std::int64_t count = std::min(n, capacity_);
  put(layer_lse(layer), bytes_per_lse(), reinterpret_cast<const std::byte*>(lse + (n - count) * num_heads_), count);
}

TensorView ProbeRings::queries(std::int32_t layer) const {
  return contiguous(static_cast<const void*>(layer_queries(layer)), dtype_, place_.size, num_heads_, head_dim_);
}

std::span<const float> ProbeRings::lse(std::int32_t layer) const {
  return {reinterpret_cast<const float*>(layer_lse(layer)), static_cast<std::size_t>(place_.size * num_heads_)};
}

// Whole blocks at once: a copy from or to a GPU waits for it.
ProbeRings::Content ProbeRings::download() const {
  const auto split = [&](const MemoryBlock& block, std::size_t row_bytes) {
    std::vector<std::byte> all(block.bytes());
    if (place_.size > 0) block.memory().copy(all.data(), block.data(), all.size());
    std::vector<std::vector<std::byte>> layers;
    for (std::int64_t layer = 0; layer < num_layers_; ++layer) {
      const std::byte* const begin = all.data() + static_cast<std::size_t>(layer * capacity_) * row_bytes;
      layers.emplace_back(begin, begin + static_cast<std::size_t>(place_.size) * row_bytes);
    }
    return layers;
  };
  return {split(queries_, bytes_per_query()), split(lse_, bytes_per_lse())};
}

void ProbeRings::upload(const Content& content, Place place) {
  const auto join = [&](const std::vector<std::vector<std::byte>>& layers, std::size_t row_bytes,
                        const MemoryBlock& block) {
    std::vector<std::byte> all(block.bytes());
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      std::copy(layers[layer].begin(), layers[layer].end(),
                all.begin() + static_cast<std::ptrdiff_t>(layer * static_cast<std::size_t>(capacity_) * row_bytes));
    }
    block.memory().copy(block.data(), all.data(), all.size());
  };
  join(content.queries, bytes_per_query(), queries_);
  join(content.lse, bytes_per_lse(), lse_);
  place_ = place;
}

}  // namespace tca::runtime
