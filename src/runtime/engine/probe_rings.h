// The last queries of every layer, with which the tail of the KV cache is scored when it is thinned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/memory.h"
#include "runtime/model/forward.h"
#include "tca/tensor.h"

namespace tca::runtime {

/// One ring of slots per layer, all at the same place: a read first advance()s them by its tokens, then each layer puts
/// what it has. The content lies in the memory that the forward pass computes in, of all layers in one piece, so that a
/// fork is two copies.
class ProbeRings {
 public:
  /// None, for sessions that never thin.
  ProbeRings() = default;
  ProbeRings(Memory& memory, std::int32_t num_layers, std::int32_t capacity, std::int32_t num_heads,
             std::int32_t head_dim, DType dtype);
  ProbeRings copy() const;
  /// A copy without the queries of the last `count` tokens. Those that they had replaced are gone.
  ProbeRings without_newest(std::int64_t count) const;
  bool empty() const { return capacity_ == 0; }

  /// How full the rings are, and the slot that the next query takes.
  struct Place {
    std::int64_t size = 0, next_slot = 0;
  };
  Place place() const { return place_; }
  /// The last tokens, `capacity` of them at most, have slots from now on.
  void advance(std::int64_t num_tokens);
  /// Takes advance() back for a read that failed.
  void set_place(Place place) { place_ = place; }

  /// Fills the newest slots with the last min(n, capacity) of q [n, Hq, d], contiguous, after RoPE, oldest first.
  void put_queries(std::int32_t layer, const TensorView& q);
  /// And their natural-log softmax denominators [n, Hq].
  void put_lse(std::int32_t layer, const float* lse, std::int64_t n);
  /// For kernels that put both themselves, at the slot that is next: [num_layers].
  std::span<const ProbeTarget> targets() const { return targets_; }

  /// [size, Hq, d] and [size * Hq] in the rings' memory, in no particular order of age.
  TensorView queries(std::int32_t layer) const;
  std::span<const float> lse(std::int32_t layer) const;

  /// Host copies for session files: the filled slots of every layer as they lie in memory.
  struct Content {
    std::vector<std::vector<std::byte>> queries;  // [num_layers][size * bytes_per_query()]
    std::vector<std::vector<std::byte>> lse;      // [num_layers][size * bytes_per_lse()]
  };
  Content download() const;
  /// The caller has checked the sizes: place.size <= capacity, place.next_slot < capacity.
  void upload(const Content& content, Place place);
  std::size_t bytes_per_query() const;  // of one slot: all heads
  std::size_t bytes_per_lse() const { return static_cast<std::size_t>(num_heads_) * sizeof(float); }

 private:
  ProbeRings of_same_shape() const;
  /// Copies the newest `count` slots' worth of rows, which end before next_slot, from rows that follow one another.
  void put(std::byte* ring, std::size_t row_bytes, const std::byte* rows, std::int64_t count);
  std::byte* layer_queries(std::int32_t layer) const;
  std::byte* layer_lse(std::int32_t layer) const;

  std::int64_t num_layers_ = 0, capacity_ = 0;
  std::int32_t num_heads_ = 0, head_dim_ = 0;
  DType dtype_ = DType::kBF16;
  Place place_;
  MemoryBlock queries_;  // [num_layers, capacity, Hq, d]
  MemoryBlock lse_;      // [num_layers, capacity, Hq] fp32
  std::vector<ProbeTarget> targets_;
};

}  // namespace tca::runtime
