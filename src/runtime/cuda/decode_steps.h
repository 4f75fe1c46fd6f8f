// Decoding: one token of each of several sequences in one pass over the weights. A step is some 300 kernels of a few
// microseconds, so the kernels of a batch size are recorded as a CUDA graph and launched at once.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "cuda/kv/device_pages.h"
#include "cuda/params.h"
#include "runtime/cuda/cuda_model_impl.h"
#include "runtime/cuda/expert_mlp.h"
#include "runtime/cuda/kernels.h"
#include "runtime/model/forward.h"

namespace tca::runtime::gpu {

inline constexpr std::int64_t kMaxDecodeRows = 64;

/// Host memory that the GPU copies from and to by itself, as graphs need it.
class PinnedBlock {
 public:
  PinnedBlock() = default;
  ~PinnedBlock() { release(); }
  PinnedBlock(const PinnedBlock&) = delete;
  PinnedBlock& operator=(const PinnedBlock&) = delete;
  void reserve(std::size_t bytes);
  std::byte* data() const { return data_; }

 private:
  void release() noexcept;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

class DecodeSteps {
 public:
  /// References outlive it.
  DecodeSteps(cuda::Device& device, const ModelConfig& config, const CudaModel& model, const StreamProducts& products,
              ThreadPool& pool);
  ~DecodeSteps();
  DecodeSteps(const DecodeSteps&) = delete;
  DecodeSteps& operator=(const DecodeSteps&) = delete;

  /// As Forward::decode(), of 1 to kMaxDecodeRows rows whose caches have one pool, of this stream. Waits for the
  /// logits, which may be empty when nobody wants them.
  void run(std::span<const DecodeRow> rows, std::span<float> logits);

 private:
  /// What a step is told by the host: copied to the GPU as it is, ahead of every step.
  struct Control {
    std::byte* base = nullptr;
    std::int64_t capacity = 0;
    std::int32_t num_layers = 0;
    std::int64_t* positions() const { return reinterpret_cast<std::int64_t*>(base); }
    std::int64_t* slots() const { return positions() + capacity; }
    cuda::PagedSequence* sequences(std::int32_t layer) const {
      return reinterpret_cast<cuda::PagedSequence*>(slots() + capacity) + layer * capacity;
    }
    Probe* probes(std::int32_t layer) const {
      return reinterpret_cast<Probe*>(sequences(num_layers)) + layer * capacity;
    }
    std::int32_t* ids() const { return reinterpret_cast<std::int32_t*>(probes(num_layers)); }
    std::size_t bytes() const {
      const std::size_t of_row = 2 * sizeof(std::int64_t) + sizeof(std::int32_t);
      const std::size_t of_layer = sizeof(cuda::PagedSequence) + sizeof(Probe);
      return static_cast<std::size_t>(capacity) * (of_row + static_cast<std::size_t>(num_layers) * of_layer);
    }
  };
  /// Which addresses outside this object the recorded graphs have.
  struct Recorded {
    void* pool = nullptr;
    const void* rope = nullptr;
    bool operator==(const Recorded&) const = default;
  };
  /// A batch size, with or without probes. The first step of a kind is not recorded: it loads kernels.
  using Kind = std::pair<std::int64_t, bool>;

  void reserve(std::int64_t rows);
  void prepare(cuda::DevicePages& pages, std::span<const DecodeRow> rows);
  void launch(Kind kind);
  cudaGraphExec_t record(Kind kind);
  void forget_graphs() noexcept;

  void queue_step(Kind kind, cudaStream_t stream);
  void queue_layer(std::int32_t index, Kind kind, cudaStream_t stream);
  void queue_mlp(const LayerSpec& spec, const GpuLayer& w, std::int64_t rows, cudaStream_t stream);
  void add_product(const Matrix& matrix, const void* from, std::int64_t stride, const float* norm, std::int64_t rows,
                   cudaStream_t stream);
  void add_branch(const float* bias, const float* norm, std::int64_t rows, cudaStream_t stream);
  void attend(std::int32_t index, Kind kind, cudaStream_t stream);

  cuda::Device* device_;
  const ModelConfig* config_;
  const CudaModel* model_;
  const StreamProducts* products_;
  ThreadPool* pool_;
  std::int64_t hidden_, q_width_;
  float eps_;
  std::int32_t num_splits_ = 0;

  std::int64_t capacity_ = 0;  // rows that the buffers hold
  PinnedBlock host_control_, host_logits_;
  Control control_, gpu_control_;
  MemoryBlock control_block_;
  MemoryBlock x_;                         // [rows, hidden] fp32
  MemoryBlock normed_, wide_;             // [rows, hidden], [rows, widest product]
  MemoryBlock branch_, scales_;           // as CudaForward's, of [rows]
  MemoryBlock q_, attended_;              // [rows, Hq, d]
  MemoryBlock lse_, partial_, counters_;  // [rows, Hq], and decode attention's
  MemoryBlock logits_;                    // [rows, vocab] fp32
  ExpertMlp experts_;
  const RopeTables* rope_ = nullptr;
  Recorded recorded_;
  std::map<Kind, cudaGraphExec_t> graphs_;  // null: seen once, not recorded yet
  /// Recording happens on a stream of its own: what other threads queue on the device's must not end up in a graph.
  cudaStream_t recording_ = nullptr;
};

}  // namespace tca::runtime::gpu
