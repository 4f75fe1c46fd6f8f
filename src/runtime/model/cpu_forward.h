// The forward pass on the CPU.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/model/experts.h"
#include "runtime/model/forward.h"
#include "runtime/model/linear.h"
#include "runtime/model/rope.h"
#include "runtime/model/weights.h"

namespace tca::runtime {

class CpuForward final : public Forward {
 public:
  CpuForward(const Model& model, ThreadPool& pool, std::int64_t chunk_tokens);

  void run(const Segment& segment, LayerAttention& attention) override;
  void logits(std::int64_t first, std::int64_t count, std::span<float> out) override;
  void release() override;

 private:
  struct Rows {
    std::int64_t begin, count;
  };
  template <class Task>
  void for_chunks(std::int64_t begin, std::int64_t end, const Task& task) const;
  void prepare(const Segment& segment);
  void layer(std::int32_t index, LayerAttention& attention);
  /// What attention or MLP read of x: its norm, or x itself where there is none.
  void normalise(Rows rows, const std::vector<float>& weight);
  void project(Rows rows, const LayerWeights& w);
  void rotate(Rows rows, const LayerSpec& spec, const LayerWeights& w);
  void add_attention(Rows rows, const LayerWeights& w);
  void add_mlp(Rows rows, const LayerSpec& spec, const LayerWeights& w);
  void add_experts(Rows rows, const LayerSpec& spec, const LayerWeights& w);
  /// x += linear(from), or what the layer makes of it on the way.
  void add_product(Rows rows, const Linear& linear, const void* from, DType dtype, const std::vector<float>& norm);
  void add_branch(Rows rows, const std::vector<float>& norm);
  /// Whether what attention and MLP add is x's as it comes from their last product.
  bool adds_at_once(const std::vector<float>& norm) const { return norm.empty() && config().residual_scale == 1; }
  const ModelConfig& config() const { return model_->config(); }
  float* x_row(std::int64_t row) const { return x_.as<float>() + row * hidden_; }
  MutableTensorView queries() const;
  TensorView keys() const;
  TensorView values() const;
  void* q_row(std::int64_t row) const;
  void* kv_row(const Buffer& buffer, std::int64_t row) const;
  /// q and k before rotation: where they stay, or apart when they are rounded afterwards.
  bool rotates_apart() const { return precision_.activations != precision_.kv; }
  void* unrotated_q(std::int64_t row) const { return rotates_apart() ? gate_.data() : q_row(row); }
  void* unrotated_k(std::int64_t row) const { return rotates_apart() ? up_.data() : kv_row(k_, row); }

  const Model* model_;
  ThreadPool* pool_;
  std::int64_t chunk_;
  Precision precision_;  // of activations, and of q, k and v; the residual stream x is fp32
  std::int64_t hidden_, q_width_, kv_width_, inner_;
  std::array<std::vector<RopeFrequencies>, 2> frequencies_;  // of the model's rotary embeddings; of long contexts
  MatrixProducts products_;
  ExpertMlp experts_;

  // Of the segment that is read
  std::int64_t n_ = 0;
  const std::atomic<bool>* cancel_ = nullptr;
  std::int64_t first_query_ = 0;   // of this layer: earlier rows have no q
  std::int64_t first_output_ = 0;  // of this layer: earlier rows end with it
  std::vector<RopeTable> ropes_;
  Buffer x_;              // [n, hidden] fp32
  Buffer q_, k_, v_;      // [n - first_query, Hq * d], [n, Hk * d] twice
  Buffer normed_;         // [chunk, hidden]
  Buffer branch_;         // [chunk, hidden] fp32: what attention or MLP add, where it does not go to x at once
  Buffer gate_, up_;      // [chunk, intermediate]; before that q and k of a chunk until they are rotated
  Buffer logits_normed_;  // [rows, hidden]
};

}  // namespace tca::runtime
