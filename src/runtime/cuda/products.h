// Matrix products on the GPU: cuBLASLt, and an own kernel for the few rows of decoding.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <map>
#include <mutex>

#include "core/memory.h"
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

/// Thread-safe; all streams that products are queued on must run one after the other, since they share one workspace.
/// No waiting, no atomics: the same shapes give the same bits. Graphs can record products whose shapes were used
/// before.
class Products {
 public:
  /// Products of up to skinny_rows rows (at most kMaxSkinnyRows) are the own kernel's.
  explicit Products(std::int64_t skinny_rows);
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  /// Throws kUnsupported naming the shape when cuBLASLt has no algorithm for it, kIo when it fails.
  void run(const Product& product, cudaStream_t stream);
  /// A product can be several kernels that meet in the workspace: nothing else that uses it may be queued between them.
  /// run() takes this itself; who launches a graph with products in it holds it meanwhile.
  std::unique_lock<std::mutex> lock_workspace() { return std::unique_lock(workspace_mutex_); }

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
  MemoryBlock workspace_;
  std::mutex workspace_mutex_;  // while what uses it is queued
  std::mutex plans_mutex_;
  std::map<Shape, Plan> plans_;  // addresses of entries stay
};

}  // namespace tca::runtime::gpu
