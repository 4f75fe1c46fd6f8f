// The forward pass of a decoder: embedding, layers, logits. Attention itself is left to the caller.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "runtime/model/linear.h"
#include "runtime/model/model.h"
#include "runtime/model/rope.h"
#include "runtime/model/weights.h"
#include "tca/tensor.h"

namespace tca::runtime {

/// Attention of one layer over whatever cache and selection the caller has.
class LayerAttention {
 public:
  virtual ~LayerAttention() = default;
  /// q [r, Hq, d]: the segment's last r <= n queries; k, v [n, Hk, d]; q and k after RoPE. q is replaced by the output.
  virtual void attend(std::int32_t layer, const MutableTensorView& q, const TensorView& k, const TensorView& v) = 0;
  /// After each chunk of rows outside attend(): this many rows went through one half of a layer. May throw to stop.
  virtual void advanced(std::int64_t rows) = 0;
};

struct Segment {
  std::span<const std::int32_t> ids;
  std::int64_t first_position = 0;
  std::int64_t num_hidden = 1;   // hidden states wanted, of the last tokens
  std::int64_t min_queries = 1;  // queries that attend() wants to see in the last layer, at least
  /// Optional: once true, products are left out; the caller throws from advanced() or attend() then.
  const std::atomic<bool>* cancel = nullptr;
};

/// Buffers and products for reading segments of one sequence at a time. Layer by layer over the whole segment, so that
/// one layer's dense K and V are alive at a time; projections and MLP in chunks of rows.
class Forward {
 public:
  Forward(const Model& model, ThreadPool& pool, std::int64_t chunk_tokens);

  /// Hidden states before the final norm, [num_hidden, hidden], valid until the next call.
  std::span<const float> run(const Segment& segment, LayerAttention& attention);
  /// Logits [rows, vocab] of hidden states [rows, hidden].
  void logits(std::span<const float> hidden, std::span<float> out);
  /// Gives the memory of a long segment back.
  void release();

 private:
  struct Rows {
    std::int64_t begin, count;
  };
  template <class Task>
  void for_chunks(std::int64_t begin, std::int64_t end, const Task& task) const;
  void prepare(const Segment& segment);
  void layer(std::int32_t index, LayerAttention& attention);
  void normalise(Rows rows, const std::vector<float>& weight);
  void project(Rows rows, const LayerWeights& w);
  void rotate(Rows rows, const LayerWeights& w);
  void add_attention(Rows rows, const LayerWeights& w);
  void add_mlp(Rows rows, const LayerWeights& w);
  MutableTensorView queries() const;
  TensorView keys() const;
  TensorView values() const;
  void* q_row(std::int64_t row) const;
  void* kv_row(const Buffer& buffer, std::int64_t row) const;

  const Model* model_;
  ThreadPool* pool_;
  std::int64_t chunk_;
  DType dtype_;  // of products and activations; the residual stream x is fp32
  std::int64_t hidden_, q_width_, kv_width_, inner_;
  RopeFrequencies frequencies_;
  MatrixProducts products_;

  // Of the segment that is read
  std::int64_t n_ = 0;
  const std::atomic<bool>* cancel_ = nullptr;
  std::int64_t first_query_ = 0;   // of this layer: earlier rows have no q
  std::int64_t first_output_ = 0;  // of this layer: earlier rows end with it
  RopeTable rope_;
  Buffer x_;              // [n, hidden] fp32
  Buffer q_, k_, v_;      // [n - first_query, Hq * d], [n, Hk * d] twice
  Buffer normed_;         // [chunk, hidden]
  Buffer gate_, up_;      // [chunk, intermediate]
  Buffer logits_normed_;  // [rows, hidden]
};

}  // namespace tca::runtime
