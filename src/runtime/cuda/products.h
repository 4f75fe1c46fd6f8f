// Matrix products on the GPU: cuBLASLt, and an own kernel for the few rows of decoding.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "core/memory.h"
#include "cuda/device.h"
#include "runtime/cuda/cublas_lt.h"

namespace tca::runtime::gpu {

enum class Output : std::int32_t {
  kBf16,
  kF32,
  kAddF32,  // out += the product
};

/// y = x W^T; bf16 factors, fp32 sums.
struct Product {
  const void* weight = nullptr;  // [columns, in]
  const void* x = nullptr;       // [rows, in], x_stride elements from row to row
  void* out = nullptr;           // [rows, columns], out_stride elements from row to row
  std::int64_t rows = 0, in = 0, columns = 0;
  std::int64_t x_stride = 0, out_stride = 0;
  Output output = Output::kBf16;
};

/// What the products of one stream compute in. A product can be several kernels that meet in it, so nothing else that
/// uses it may be queued between them: run() holds the lock, and so does who launches a graph with products in it.
class Workspace {
 public:
  explicit Workspace(cuda::Device& device);
  void* data() const { return memory_.data(); }
  std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

 private:
  std::shared_ptr<cuda::Device> device_;
  MemoryBlock memory_;
  std::mutex mutex_;
};

/// Of one model. Thread-safe. No waiting, no atomics: the same shapes give the same bits, on every stream. Graphs can
/// record products whose shapes were used before.
class Products {
 public:
  /// Products of up to skinny_rows rows (at most kMaxSkinnyRows) are the own kernel's.
  Products(const cuda::Device& device, std::int64_t skinny_rows);
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  /// That of all who ask for the same stream, as long as one of them holds it.
  std::shared_ptr<Workspace> workspace(cuda::Device& device);

  /// Queues it on `stream`: the workspace's, or one that records a graph for it. The GPU is the current device. Throws
  /// kUnsupported naming the shape when cuBLASLt has no algorithm for it, kIo when it fails.
  void run(const Product& product, Workspace& workspace, cudaStream_t stream);

 private:
  struct Plan {
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t weight = nullptr, x = nullptr, out = nullptr;
    cublasLtMatmulAlgo_t algorithm;
  };
  using Shape = std::array<std::int64_t, 6>;
  const Plan& plan(const Product& product);
  void choose_algorithm(const Product& product, Plan& plan);
  static void destroy(Plan& plan) noexcept;

  std::int64_t skinny_rows_;
  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;             // of what follows
  std::map<Shape, Plan> plans_;  // addresses of entries stay
  std::map<cudaStream_t, std::weak_ptr<Workspace>> workspaces_;
};

}  // namespace tca::runtime::gpu
