// Matrix products of the forward pass: blocks of rows by oneDNN in bf16 or by own kernels in fp32, few rows (decoding)
// by own kernels.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "runtime/model/weights.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

/// One of the products of a run. x of bf16 wants weights of bf16 or int8.
struct Product {
  const Linear* linear = nullptr;
  const void* x = nullptr;  // [rows, in] of x_dtype
  DType x_dtype = DType::kBF16;
  void* out = nullptr;             // [rows, out]
  DType out_dtype = DType::kBF16;  // fp32 or bf16
  bool add = false;                // out += the product; fp32 only
};

/// Not shared between threads; every user of a model has its own. Every sum is added up in an order that depends on the
/// shapes alone, by one thread, so that no bit of the result depends on the number of threads.
class MatrixProducts {
 public:
  MatrixProducts();
  ~MatrixProducts();
  MatrixProducts(MatrixProducts&&) noexcept;
  MatrixProducts& operator=(MatrixProducts&&) noexcept;

  /// All of the products, which share nothing but the number of rows, as one parallel step. Once cancel (optional) is
  /// true, the rest is left out and the result undefined.
  void run(std::int64_t rows, std::span<const Product> products, ThreadPool& pool,
           const std::atomic<bool>* cancel = nullptr);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tca::runtime
