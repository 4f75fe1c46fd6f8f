// Matrix products of the forward pass: oneDNN for blocks of rows, own kernels for a few rows (decoding).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "runtime/model/weights.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

/// Whether this CPU multiplies bf16 matrices with more than a plain loop.
bool has_bf16_products();

/// One of the products of a run.
struct Product {
  const Linear* linear = nullptr;
  const void* x = nullptr;         // [rows, in] in the linear's dtype
  void* out = nullptr;             // [rows, out]
  DType out_dtype = DType::kBF16;  // fp32, or the linear's dtype
  bool add = false;                // out += the product; fp32 only
};

/// Not shared between threads; every user of a model has its own. Work is cut by the shapes alone and every cut runs on
/// one thread, so that no bit of the result depends on the number of threads.
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
