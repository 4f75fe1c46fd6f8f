// The forward pass on the GPU. Everything is queued on one stream; nothing here waits for it but logits() and decode(),
// which return values.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "runtime/cuda/cuda_model_impl.h"
#include "runtime/cuda/decode_steps.h"
#include "runtime/cuda/expert_mlp.h"
#include "runtime/model/forward.h"

namespace tca::runtime::gpu {

class CudaForward final : public Forward {
 public:
  CudaForward(std::shared_ptr<cuda::Device> device, const ModelConfig& config, const CudaModel& model, ThreadPool& pool,
              std::int64_t chunk_tokens);
  ~CudaForward() override;

  Memory& memory() const override { return device_->memory(); }
  void run(const Segment& segment, LayerAttention& attention) override;
  void logits(std::int64_t first, std::int64_t count, std::span<float> out) override;
  void release() override;
  std::int64_t max_decode_rows() const override { return kMaxDecodeRows; }
  void decode(std::span<const DecodeRow> rows, std::span<float> logits) override;

 private:
  struct Rows {
    std::int64_t begin, count;
  };
  template <class Task>
  void for_chunks(std::int64_t begin, std::int64_t end, const Task& task) const;
  void prepare(const Segment& segment);
  void layer(std::int32_t index, LayerAttention& attention);
  void normalise(Rows rows, const float* weight);
  void project(Rows rows, const LayerSpec& spec, const GpuLayer& w);
  void add_attention(Rows rows, const GpuLayer& w);
  void add_mlp(Rows rows, const LayerSpec& spec, const GpuLayer& w);
  /// x += matrix times `from`, bias included, or what the norm makes of it.
  void add_product(Rows rows, const Matrix& matrix, const void* from, std::int64_t stride, const float* norm);
  void add_branch(Rows rows, const float* bias, const float* norm);
  float* x_row(std::int64_t row) const { return static_cast<float*>(x_.data()) + row * hidden_; }
  cudaStream_t stream() const { return device_->stream(); }

  std::shared_ptr<cuda::Device> device_;
  const ModelConfig* config_;
  const CudaModel* model_;
  StreamProducts products_;
  ThreadPool* pool_;
  std::int64_t chunk_;
  std::int64_t hidden_, q_width_, kv_width_, inner_;  // inner: the widest of layers without experts
  float eps_;

  // Of the segment that is read
  std::int64_t n_ = 0, first_position_ = 0;
  std::int64_t first_query_ = 0;   // of this layer: earlier rows have no q
  std::int64_t first_output_ = 0;  // of this layer: earlier rows end with it
  const RopeTables* rope_ = nullptr;
  MemoryBlock ids_;        // [n]
  MemoryBlock x_;          // [n, hidden] fp32
  MemoryBlock q_, k_, v_;  // [n - first_query, Hq, d], [n, Hk, d] twice
  MemoryBlock normed_;     // [chunk, hidden]
  MemoryBlock branch_;     // [chunk, hidden] fp32: what attention or MLP add, where it does not go to x at once
  MemoryBlock scales_;     // [chunk, 2] fp32, for norms of all heads as one
  MemoryBlock wide_;       // [chunk, (Hq + 2 Hk) d], then [chunk, 2 inner]
  MemoryBlock logits_;     // [rows, vocab] fp32

  ExpertMlp experts_;
  DecodeSteps decode_;
};

}  // namespace tca::runtime::gpu
