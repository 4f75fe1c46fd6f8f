// What a model on the GPU consists of; its forward passes share it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "cuda/device.h"
#include "runtime/cuda/cuda_model.h"
#include "runtime/cuda/gpu_weights.h"
#include "runtime/cuda/kernels.h"
#include "runtime/cuda/products.h"
#include "runtime/model/rope.h"

namespace tca::runtime::gpu {

/// Cosines and sines of positions [0, positions) of all the model's rotary embeddings, in GPU memory.
struct RopeTables {
  struct Table {
    MemoryBlock cos, sin;  // [positions, d / 2] fp32
  };
  std::int64_t positions = 0;
  std::vector<Table> tables;
  const float* cosines(std::int32_t rope) const { return floats(tables[static_cast<std::size_t>(rope)].cos); }
  const float* sines(std::int32_t rope) const { return floats(tables[static_cast<std::size_t>(rope)].sin); }
  static const float* floats(const MemoryBlock& block) { return static_cast<const float*>(block.data()); }
};

/// Rows of a layer's qkv product, and where their scales go.
struct HeadRows {
  const MemoryBlock& qkv;     // [rows, (Hq + 2 Hk) d] bf16
  const MemoryBlock& scales;  // [rows, 2] fp32, for norms of all heads as one
  std::int64_t rows;
};
HeadArgs head_args(const ModelSpec& model, const LayerSpec& layer, const GpuLayer& weights, const RopeTables& rope,
                   const HeadRows& rows);

class CudaModel final : public DeviceModel {
 public:
  CudaModel(std::shared_ptr<cuda::Device> device, const ModelConfig& config, GpuWeights weights,
            std::int64_t skinny_rows);

  Memory& memory() const override { return device_->memory(); }
  std::int32_t number() const override { return device_->ordinal(); }
  std::size_t weight_bytes() const override { return weights_.bytes; }
  std::unique_ptr<Forward> create_forward(const Model& model, ThreadPool& pool, std::int64_t chunk_tokens,
                                          const std::optional<Stream>& stream) const override;

  /// Weights and tables are made, and given back, on a stream of the library's.
  const cuda::Device& device() const { return *device_; }
  const GpuWeights& weights() const { return weights_; }
  Products& products() const { return products_; }
  /// Tables of at least this many positions: the ones there are, or new ones of twice the size. They stay as long as
  /// the model: other streams may still read the old ones, and together those are no larger than the new.
  const RopeTables& rope(std::int64_t positions, bool long_context, ThreadPool& pool) const;

 private:
  std::shared_ptr<cuda::Device> device_;
  GpuWeights weights_;
  std::array<std::vector<RopeFrequencies>, 2> frequencies_;  // and those of long contexts
  mutable Products products_;
  mutable std::mutex rope_mutex_;
  mutable std::array<std::vector<std::unique_ptr<const RopeTables>>, 2> rope_;  // the largest is the last
};

/// The products of one forward pass: on its stream, or recorded on another one for graphs that run there.
class StreamProducts {
 public:
  StreamProducts(Products& products, cuda::Device& device)
      : products_(&products), workspace_(products.workspace(device)) {}

  void run(const Product& product, cudaStream_t stream) const { products_->run(product, *workspace_, stream); }
  /// out [rows, w.out] (+)= x [rows, w.in] w^T, x_stride elements from row to row of x; the bias is left out.
  void multiply(const Matrix& w, const void* x, std::int64_t x_stride, void* out, Output output, std::int64_t rows,
                cudaStream_t stream) const;
  std::unique_lock<std::mutex> lock() const { return workspace_->lock(); }

 private:
  Products* products_;
  std::shared_ptr<Workspace> workspace_;
};

}  // namespace tca::runtime::gpu
