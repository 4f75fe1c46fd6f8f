#include "runtime/model/linear.h"

#include <vector>

#include "core/check.h"
#include "runtime/model/fp32_product.h"
#include "runtime/model/int8.h"
#include "runtime/model/kernels.h"
#include "runtime/model/pieces.h"
#include "runtime/model/precision.h"

#ifdef TCA_WITH_ONEDNN
#include "runtime/model/onednn_blocks.h"
#endif

namespace tca::runtime {
namespace {

kernels::MultiplyRows params_of(const Piece& piece) {
  const Product& product = *piece.product;
  return {.x = piece.x(),
          .weight = piece.weight(),
          .bias = piece.bias(),
          .out = piece.out(),
          .rows = piece.rows,
          .in = product.linear->in,
          .columns = piece.columns,
          .out_stride = product.linear->out,
          .dtype = product.x_dtype,
          .weight_dtype = product.linear->dtype,
          .out_dtype = product.out_dtype,
          .add = product.add};
}

/// x of few rows in the order in which the weights are read, once for all pieces.
class ReadyRows {
 public:
  void prepare(std::span<const Piece> pieces) {
    used_ = 0;
    for (const Piece& piece : pieces) {
      if (!wanted(piece) || find(piece) != nullptr) continue;
      if (used_ == ready_.size()) ready_.emplace_back();
      Ready& ready = ready_[used_++];
      ready.x = piece.x();
      ready.dtype = piece.product->x_dtype;
      ready.weight_dtype = piece.product->linear->dtype;
      const std::int64_t in = piece.product->linear->in;
      ready.rows.reserve(static_cast<std::size_t>(piece.rows * in) * sizeof(float));
      kernels::read_order(ready.x, ready.dtype, ready.weight_dtype, piece.rows, in, ready.rows.as<float>());
    }
  }

  void multiply(const Piece& piece) const {
    kernels::MultiplyRows params = params_of(piece);
    if (piece.scales() != nullptr) return int8::multiply_rows(params, piece.scales());
    if (wanted(piece)) {
      params.x = find(piece)->rows.data();
      params.dtype = DType::kF32;
    }
    kernels::multiply_rows(params);
  }

 private:
  struct Ready {
    const void* x = nullptr;
    DType dtype = DType::kF32, weight_dtype = DType::kF32;
    Buffer rows;
  };

  static bool wanted(const Piece& piece) {
    return piece.way == Way::kRows && piece.scales() == nullptr &&
           !kernels::reads_as_it_is(piece.product->x_dtype, piece.product->linear->dtype);
  }
  const Ready* find(const Piece& piece) const {
    for (std::size_t i = 0; i < used_; ++i) {
      const Ready& ready = ready_[i];
      if (ready.x == piece.x() && ready.dtype == piece.product->x_dtype &&
          ready.weight_dtype == piece.product->linear->dtype) {
        return &ready;
      }
    }
    return nullptr;
  }

  std::vector<Ready> ready_;
  std::size_t used_ = 0;
};

}  // namespace

struct MatrixProducts::Impl {
  struct Worker {
    fp32::Scratch fp32;
#ifdef TCA_WITH_ONEDNN
    OneDnnBlocks::Scratch onednn;
#endif
  };

  bool by_onednn = has_bf16_products();
  ReadyRows few;
  std::vector<Worker> workers;

#ifdef TCA_WITH_ONEDNN
  OneDnnBlocks blocks;

  void run(std::span<const Piece> pieces, ThreadPool& pool, const std::atomic<bool>* cancel) {
    try {
      blocks.compile(pieces);
      multiply(pieces, pool, cancel);
    } catch (const dnnl::error& error) {
      fail(ErrorCategory::kUnsupported, text("oneDNN cannot multiply ", pieces.empty() ? 0 : pieces.front().rows,
                                             " rows at a time: ", error.what()));
    }
  }
  void multiply_by_onednn(const Piece& piece, std::size_t at, Worker& worker) {
    blocks.multiply(piece, at, worker.onednn);
  }
#else
  void run(std::span<const Piece> pieces, ThreadPool& pool, const std::atomic<bool>* cancel) {
    multiply(pieces, pool, cancel);
  }
  void multiply_by_onednn(const Piece&, std::size_t, Worker&) {}  // no piece is its
#endif

  void multiply(std::span<const Piece> pieces, ThreadPool& pool, const std::atomic<bool>* cancel) {
    few.prepare(pieces);
    workers.resize(static_cast<std::size_t>(pool.num_threads()));
    pool.parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i, int thread) {
      if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) return;
      const auto at = static_cast<std::size_t>(i);
      const Piece& piece = pieces[at];
      Worker& worker = workers[static_cast<std::size_t>(thread)];
      switch (piece.way) {
        case Way::kRows:
          return few.multiply(piece);
        case Way::kFp32:
          if (piece.product->linear->transposed) {
            return fp32::multiply_transposed_block(params_of(piece), piece.product->linear->out, worker.fp32);
          }
          return fp32::multiply_block(params_of(piece), piece.scales(), worker.fp32);
        case Way::kOneDnn:
          return multiply_by_onednn(piece, at, worker);
      }
    });
  }
};

MatrixProducts::MatrixProducts() : impl_(std::make_unique<Impl>()) {}
MatrixProducts::~MatrixProducts() = default;
MatrixProducts::MatrixProducts(MatrixProducts&&) noexcept = default;
MatrixProducts& MatrixProducts::operator=(MatrixProducts&&) noexcept = default;

void MatrixProducts::run(std::int64_t rows, std::span<const Product> products, ThreadPool& pool,
                         const std::atomic<bool>* cancel) {
  impl_->run(cut_products(rows, products, pool.num_threads(), impl_->by_onednn), pool, cancel);
}

}  // namespace tca::runtime
