#include "runtime/model/linear.h"

#include <algorithm>
#include <cstring>
#include <vector>

#ifdef TCA_WITH_ONEDNN
#include <map>

#include "runtime/model/block_product.h"
#include "runtime/model/packing.h"
#endif

#include "core/check.h"
#include "runtime/model/int8.h"
#include "runtime/model/kernels.h"

namespace tca::runtime {
namespace {

// Rows that one call of oneDNN takes. More are not faster: inside, it brings weights into its order about as often.
constexpr std::int64_t kBlockRows = 256;
// The rest of a segment goes in halves down to this, so that prompts of all lengths share a few compiled primitives.
constexpr std::int64_t kLeastBlockRows = 16;
// Columns of a piece: 512 x 512 bf16 weights fill half of a 1 MiB L2 cache. Fewer where a worker's copy of the weights
// would take more than this.
constexpr std::int64_t kBlockColumns = 512;
constexpr std::int64_t kMostPackedBytes = 8 << 20;
// Blocks of a piece, whose weights are brought into oneDNN's order once: as many as leave each thread some pieces. With
// eight that costs 1 % of the product at AVX-512's speed (220 GFLOP/s a core, 10 GB/s to copy), 7 % at AMX's (1.5
// TFLOP/s).
constexpr std::int64_t kMostBlocks = 8;
constexpr std::int64_t kPiecesOfAThread = 4;
// Fewer rows than the least block are left to own kernels, which read the weights once from memory without repacking:
// for so many at a time they are as quick as oneDNN.
constexpr std::int64_t kFewRows = 8;
// Outputs of one piece of theirs: 32 KiB of weights or more, a microsecond.
constexpr std::int64_t kFewRowsColumns = 32;

#ifdef TCA_WITH_ONEDNN
constexpr bool kHasBlockProducts = true;
#else
constexpr bool kHasBlockProducts = false;  // right, but it reads the weights once for every few rows
#endif

struct Piece {
  const Product* product;
  std::int64_t row, rows, column, columns;
  bool few_rows() const { return rows <= kFewRows; }
  std::int64_t block_rows() const { return std::min(rows, kBlockRows); }
};

/// Rows of the next block when `left` are to be done.
std::int64_t next_rows(std::int64_t left) {
  if (!kHasBlockProducts || left < kLeastBlockRows) return std::min(left, kFewRows);
  std::int64_t rows = kBlockRows;
  while (rows > left) rows /= 2;
  return rows;
}

std::int64_t column_step(const Linear& linear, std::int64_t rows) {
  if (rows <= kFewRows) return linear.scales.empty() ? kFewRowsColumns : int8::kChannels;
  std::int64_t step = kBlockColumns;
  while (step > int8::kChannels &&
         linear.in * step * static_cast<std::int64_t>(dtype_size(linear.dtype)) > kMostPackedBytes) {
    step /= 2;
  }
  return step;
}

std::int64_t blocks_of_a_piece(std::int64_t rows, std::span<const Product> products, int threads) {
  std::int64_t blocks = 0;
  for (const Product& product : products) {
    const std::int64_t step = column_step(*product.linear, kBlockRows);
    blocks += rows / kBlockRows * ((product.linear->out + step - 1) / step);
  }
  return std::clamp(blocks / (kPiecesOfAThread * threads), std::int64_t{1}, kMostBlocks);
}

std::vector<Piece> cut(std::int64_t rows, std::span<const Product> products, int threads) {
  const std::int64_t together = blocks_of_a_piece(rows, products, threads);
  std::vector<Piece> pieces;
  for (std::int64_t row = 0, count = 0; row < rows; row += count) {
    count = next_rows(rows - row);
    if (count == kBlockRows) count *= std::min(together, (rows - row) / kBlockRows);
    for (const Product& product : products) {
      const std::int64_t step = column_step(*product.linear, count);
      for (std::int64_t column = 0; column < product.linear->out; column += step) {
        pieces.push_back({&product, row, count, column, std::min(step, product.linear->out - column)});
      }
    }
  }
  return pieces;
}

const std::byte* x_of(const Piece& piece) {
  const Linear& linear = *piece.product->linear;
  return static_cast<const std::byte*>(piece.product->x) +
         piece.row * linear.in * static_cast<std::int64_t>(dtype_size(linear.dtype));
}
const std::byte* weight_of(const Piece& piece) {
  const Linear& linear = *piece.product->linear;
  const std::int64_t element = linear.scales.empty() ? static_cast<std::int64_t>(dtype_size(linear.dtype)) : 1;
  return static_cast<const std::byte*>(linear.weight) + piece.column * linear.in * element;
}
const float* bias_of(const Piece& piece) {
  const std::vector<float>& bias = piece.product->linear->bias;
  return bias.empty() ? nullptr : bias.data() + piece.column;
}
/// Null when the weight is not int8.
const float* scales_of(const Piece& piece) {
  const std::vector<float>& scales = piece.product->linear->scales;
  return scales.empty() ? nullptr : scales.data() + piece.column;
}
std::byte* out_of(const Piece& piece) {
  return static_cast<std::byte*>(piece.product->out) +
         (piece.row * piece.product->linear->out + piece.column) *
             static_cast<std::int64_t>(dtype_size(piece.product->out_dtype));
}

/// Whole blocks are packed whether their piece has one or several: their bits must not depend on it.
bool wants_packed(const Piece& piece) {
  const Linear& linear = *piece.product->linear;
  return linear.dtype == DType::kBF16 && (!linear.scales.empty() || piece.block_rows() == kBlockRows);
}
/// oneDNN's kernels for packed weights write rows without gaps between them: a product that is wider than its pieces is
/// computed apart and copied, 1 % of the work or less from 2048 elements in on.
bool has_own_result(const Piece& piece) { return wants_packed(piece) && piece.columns < piece.product->linear->out; }

std::size_t result_bytes(const Piece& block) {
  return static_cast<std::size_t>(block.rows * block.columns) * dtype_size(block.product->out_dtype);
}

void deliver(const Piece& block, const void* result) {
  const std::size_t row_bytes = result_bytes(block) / static_cast<std::size_t>(block.rows);
  const auto stride = static_cast<std::size_t>(block.product->linear->out) * dtype_size(block.product->out_dtype);
  std::byte* to = out_of(block);
  const auto* from = static_cast<const std::byte*>(result);
  for (std::int64_t row = 0; row < block.rows; ++row, to += stride, from += row_bytes) {
    if (!block.product->add) {
      std::memcpy(to, from, row_bytes);
      continue;
    }
    auto* const sums = reinterpret_cast<float*>(to);
    const auto* const values = reinterpret_cast<const float*>(from);
    for (std::int64_t c = 0; c < block.columns; ++c) sums[c] += values[c];
  }
}

void multiply_few_rows(const Piece& piece) {
  const kernels::MultiplyRows params{.x = x_of(piece),
                                     .weight = weight_of(piece),
                                     .bias = bias_of(piece),
                                     .out = out_of(piece),
                                     .rows = piece.rows,
                                     .in = piece.product->linear->in,
                                     .columns = piece.columns,
                                     .out_stride = piece.product->linear->out,
                                     .dtype = piece.product->linear->dtype,
                                     .out_dtype = piece.product->out_dtype,
                                     .add = piece.product->add};
  if (const float* scales = scales_of(piece)) return int8::multiply_rows(params, scales);
  kernels::multiply_rows(params);
}

}  // namespace

#ifdef TCA_WITH_ONEDNN

bool has_bf16_products() {
  try {
    const OneOpenMpThread one_thread;
    const BlockShape shape{.rows = 16,
                           .in = 64,
                           .columns = 64,
                           .out_stride = 64,
                           .dtype = DType::kBF16,
                           .out_dtype = DType::kBF16,
                           .add = false,
                           .bias = false,
                           .layout = WeightLayout::kStored};
    return BlockProduct(dnnl::engine(dnnl::engine::kind::cpu, 0), shape).optimised();
  } catch (const dnnl::error&) {
    return false;  // no implementation at all for this CPU
  }
}

struct MatrixProducts::Impl {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::map<BlockShape, BlockProduct> compiled;
  struct Worker {
    Buffer scratch, weight, result;
  };
  std::vector<Worker> workers;

  const BlockProduct& block_product(const Piece& piece) {
    const Linear& linear = *piece.product->linear;
    const WeightLayout otherwise = linear.scales.empty() ? WeightLayout::kStored : WeightLayout::kTransposed;
    const BlockShape shape{.rows = piece.block_rows(),
                           .in = linear.in,
                           .columns = piece.columns,
                           .out_stride = has_own_result(piece) ? piece.columns : linear.out,
                           .dtype = linear.dtype,
                           .out_dtype = piece.product->out_dtype,
                           .add = piece.product->add && !has_own_result(piece),
                           .bias = !linear.bias.empty(),
                           .layout = wants_packed(piece) ? WeightLayout::kPacked : otherwise,
                           .otherwise = otherwise};
    const auto found = compiled.find(shape);
    if (found != compiled.end()) return found->second;
    return compiled.emplace(shape, BlockProduct(engine, shape)).first->second;
  }

  /// The piece's weights as oneDNN reads them.
  static const void* weight_in(WeightLayout layout, const Piece& piece, Buffer& buffer) {
    const Linear& linear = *piece.product->linear;
    const std::int64_t in = linear.in, columns = piece.columns;
    if (layout == WeightLayout::kStored) return weight_of(piece);
    const auto* const int8 = reinterpret_cast<const std::int8_t*>(weight_of(piece));
    if (layout == WeightLayout::kTransposed) {
      buffer.reserve(static_cast<std::size_t>(in * columns) * dtype_size(linear.dtype));
      int8::widen(int8, scales_of(piece), in, columns, linear.dtype, buffer.data());
      return buffer.data();
    }
    buffer.reserve(packed_bytes(in, columns));
    auto* const packed = buffer.as<std::uint16_t>();
    if (linear.scales.empty()) {
      pack_weight(reinterpret_cast<const std::uint16_t*>(weight_of(piece)), in, columns, packed);
    } else {
      int8::widen_packed(int8, scales_of(piece), in, columns, packed);
    }
    return packed;
  }

  static void execute(const Piece& piece, const BlockProduct& product, Worker& worker) {
    const void* const weight = weight_in(product.layout(), piece, worker.weight);
    void* const scratch = worker.scratch.reserve(product.scratch_bytes());
    Piece block = piece;
    block.rows = piece.block_rows();
    void* const apart = has_own_result(piece) ? worker.result.reserve(result_bytes(block)) : nullptr;
    for (; block.row < piece.row + piece.rows; block.row += block.rows) {
      product.run({.x = x_of(block),
                   .weight = weight,
                   .bias = bias_of(block),
                   .out = apart == nullptr ? out_of(block) : apart,
                   .scratch = scratch});
      if (apart != nullptr) deliver(block, apart);
    }
  }

  void run(std::span<const Piece> pieces, ThreadPool& pool, const std::atomic<bool>* cancel) {
    try {
      multiply(pieces, pool, cancel);
    } catch (const dnnl::error& error) {
      fail(ErrorCategory::kUnsupported, text("oneDNN cannot multiply ", pieces.empty() ? 0 : pieces.front().rows,
                                             " rows at a time: ", error.what()));
    }
  }

  void multiply(std::span<const Piece> pieces, ThreadPool& pool, const std::atomic<bool>* cancel) {
    std::vector<const BlockProduct*> chosen(pieces.size());
    {
      const OneOpenMpThread one_thread;
      for (std::size_t i = 0; i < pieces.size(); ++i) {
        if (!pieces[i].few_rows()) chosen[i] = &block_product(pieces[i]);
      }
    }
    workers.resize(static_cast<std::size_t>(pool.num_threads()));
    pool.parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i, int worker) {
      if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) return;
      const auto at = static_cast<std::size_t>(i);
      if (pieces[at].few_rows()) return multiply_few_rows(pieces[at]);
      const OneOpenMpThread one_thread;
      execute(pieces[at], *chosen[at], workers[static_cast<std::size_t>(worker)]);
    });
  }
};

#else

bool has_bf16_products() { return true; }

struct MatrixProducts::Impl {
  void run(std::span<const Piece> pieces, ThreadPool& pool, const std::atomic<bool>* cancel) {
    pool.parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i, int) {
      if (cancel == nullptr || !cancel->load(std::memory_order_relaxed)) {
        multiply_few_rows(pieces[static_cast<std::size_t>(i)]);
      }
    });
  }
};

#endif

MatrixProducts::MatrixProducts() : impl_(std::make_unique<Impl>()) {}
MatrixProducts::~MatrixProducts() = default;
MatrixProducts::MatrixProducts(MatrixProducts&&) noexcept = default;
MatrixProducts& MatrixProducts::operator=(MatrixProducts&&) noexcept = default;

void MatrixProducts::run(std::int64_t rows, std::span<const Product> products, ThreadPool& pool,
                         const std::atomic<bool>* cancel) {
  impl_->run(cut(rows, products, pool.num_threads()), pool, cancel);
}

}  // namespace tca::runtime
