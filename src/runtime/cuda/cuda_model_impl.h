// What a model on the GPU consists of; its forward passes share it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "runtime/cuda/cuda_model.h"
#include "runtime/cuda/gpu_weights.h"
#include "runtime/cuda/products.h"
#include "runtime/model/rope.h"

namespace tca::runtime::gpu {

/// Cosines and sines of positions [0, positions), in GPU memory.
struct RopeTables {
  std::int64_t positions = 0;
  MemoryBlock cos, sin;  // [positions, d / 2] fp32
  const float* cosines() const { return static_cast<const float*>(cos.data()); }
  const float* sines() const { return static_cast<const float*>(sin.data()); }
};

class CudaModel final : public DeviceModel {
 public:
  CudaModel(const ModelConfig& config, GpuWeights weights, std::int64_t skinny_rows);

  Memory& memory() const override;
  std::size_t weight_bytes() const override { return weights_.bytes; }
  std::unique_ptr<Forward> create_forward(const Model& model, ThreadPool& pool,
                                          std::int64_t chunk_tokens) const override;

  const GpuWeights& weights() const { return weights_; }
  /// out [rows, w.out] (+)= x [rows, w.in] w^T, x_stride elements from row to row of x; the bias is left out.
  void multiply(const Matrix& w, const void* x, std::int64_t x_stride, void* out, Output output, std::int64_t rows,
                cudaStream_t stream) const;
  /// For products of other shapes than a whole matrix's.
  Products& products() const { return products_; }
  /// Tables of at least this many positions: the ones there are, or new ones of twice the size. Who uses a table holds
  /// it.
  std::shared_ptr<const RopeTables> rope(std::int64_t positions, ThreadPool& pool) const;

 private:
  GpuWeights weights_;
  RopeFrequencies frequencies_;
  mutable Products products_;
  mutable std::mutex rope_mutex_;
  mutable std::shared_ptr<const RopeTables> rope_;
};

}  // namespace tca::runtime::gpu
