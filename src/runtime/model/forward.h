// The forward pass of a decoder: embedding, layers, logits. Attention itself is left to the caller.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "core/memory.h"
#include "runtime/model/model.h"
#include "tca/kv_cache.h"
#include "tca/tensor.h"

namespace tca::runtime {

/// Attention of one layer over whatever cache and selection the caller has.
class LayerAttention {
 public:
  virtual ~LayerAttention() = default;
  /// Views of the device's memory. q [r, Hq, d]: the segment's last r <= n queries; k, v [n, Hk, d]; q and k after
  /// RoPE. q is replaced by the output.
  virtual void attend(std::int32_t layer, const MutableTensorView& q, const TensorView& k, const TensorView& v) = 0;
  /// After each chunk of rows outside attend(): this many rows went through one half of a layer. May throw to stop.
  virtual void advanced(std::int64_t rows) = 0;
};

struct Segment {
  std::span<const std::int32_t> ids;
  std::int64_t first_position = 0;
  std::int64_t num_hidden = 1;   // hidden states wanted, of the last tokens
  std::int64_t min_queries = 1;  // queries that attend() wants to see in the last layer, at least
  bool long_context = false;     // as of rope_frequencies(); the same for all of a sequence
  /// Optional: once true, products are left out; the caller throws from advanced() or attend() then.
  const std::atomic<bool>* cancel = nullptr;
};

/// Where one layer's last queries and their softmax denominators are collected, in the device's memory.
struct ProbeTarget {
  void* queries = nullptr;  // [slots, Hq, d]
  float* lse = nullptr;     // [slots, Hq]
};

/// The next token of one of several sequences that are read in one step.
struct DecodeRow {
  std::int32_t id = 0;
  std::int64_t position = 0;
  KvCache* cache = nullptr;                  // has reserved a token; holds it afterwards
  std::span<const ProbeTarget> probes = {};  // [num_layers], or empty
  std::int64_t probe_slot = 0;
  bool long_context = false;  // as of Segment; the same for all rows of a step
};

/// Buffers and products for reading segments of one sequence at a time, or single tokens of several. Layer by layer
/// over the whole segment, so that one layer's dense K and V are alive at a time; projections and MLP in chunks of
/// rows.
class Forward {
 public:
  virtual ~Forward() = default;
  /// Where it computes, in the order of its stream: activations, what attention is given, probes.
  virtual Memory& memory() const { return host_memory(); }
  /// Leaves the hidden states of the segment's last num_hidden tokens for logits().
  virtual void run(const Segment& segment, LayerAttention& attention) = 0;
  /// Logits [count, vocab] of those tokens from `first` on, until the next call of run() or release().
  virtual void logits(std::int64_t first, std::int64_t count, std::span<float> out) = 0;
  /// Gives the memory of a long segment back.
  virtual void release() = 0;

  /// Most rows of one decode(); 0: this device reads tokens through run() alone.
  virtual std::int64_t max_decode_rows() const { return 0; }
  /// One token a row, attention included: logits [rows, vocab] in host memory. When it throws, caches may hold their
  /// token or not: the caller has savepoints (core/kv_savepoint.h).
  virtual void decode(std::span<const DecodeRow> rows, std::span<float> logits);
};

/// Of the kind that the model's device needs; on the stream of the backend whose attention it takes.
std::unique_ptr<Forward> create_forward(const Model& model, ThreadPool& pool, std::int64_t chunk_tokens,
                                        const std::optional<Stream>& stream = std::nullopt);

}  // namespace tca::runtime
