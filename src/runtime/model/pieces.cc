#include "runtime/model/pieces.h"

#include <algorithm>
#include <array>

#include "runtime/model/fp32_product.h"
#include "runtime/model/int8.h"

namespace tca::runtime {
namespace {

// Outputs of a piece of few rows: 32 KiB of weights or more, a microsecond.
constexpr std::int64_t kFewRowsColumns = 32;
// Pieces that each thread should find: with four, the last ones leave a fifth of the threads idle at most.
constexpr std::int64_t kPiecesOfAThread = 4;

void add_columns(Piece piece, std::int64_t step, std::vector<Piece>& pieces) {
  const std::int64_t out = piece.product->linear->out;
  for (piece.column = 0; piece.column < out; piece.column += step) {
    piece.columns = std::min(step, out - piece.column);
    pieces.push_back(piece);
  }
}

void add_few_rows(const Product& product, std::int64_t row, std::int64_t rows, std::vector<Piece>& pieces) {
  const std::int64_t step = product.linear->scales.empty() ? kFewRowsColumns : int8::kChannels;
  add_columns({.product = &product, .way = Way::kRows, .row = row, .rows = rows}, step, pieces);
}

// ---- Blocks of bf16 by oneDNN ----

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

/// Rows of the next block when `left` are to be done.
std::int64_t next_rows(std::int64_t left) {
  if (left < kLeastBlockRows) return std::min(left, kFewRows);
  std::int64_t rows = kOneDnnRows;
  while (rows > left) rows /= 2;
  return rows;
}

std::int64_t onednn_columns(const Linear& linear) {
  std::int64_t step = kBlockColumns;
  while (step > int8::kChannels && linear.in * step * 2 > kMostPackedBytes) step /= 2;
  return step;
}

std::int64_t blocks_of_a_piece(std::int64_t rows, std::span<const Product* const> products, int threads) {
  std::int64_t blocks = 0;
  for (const Product* product : products) {
    const std::int64_t step = onednn_columns(*product->linear);
    blocks += rows / kOneDnnRows * ((product->linear->out + step - 1) / step);
  }
  return std::clamp(blocks / (kPiecesOfAThread * threads), std::int64_t{1}, kMostBlocks);
}

void cut_for_onednn(std::int64_t rows, std::span<const Product* const> products, int threads,
                    std::vector<Piece>& pieces) {
  const std::int64_t together = blocks_of_a_piece(rows, products, threads);
  for (std::int64_t row = 0, count = 0; row < rows; row += count) {
    count = next_rows(rows - row);
    if (count == kOneDnnRows) count *= std::min(together, (rows - row) / kOneDnnRows);
    for (const Product* product : products) {
      if (count <= kFewRows) {
        add_few_rows(*product, row, count, pieces);
      } else {
        add_columns({.product = product, .way = Way::kOneDnn, .row = row, .rows = count},
                    onednn_columns(*product->linear), pieces);
      }
    }
  }
}

// ---- Blocks in fp32 ----

struct Size {
  std::int64_t rows, columns;
};
// Large pieces first. Packing weights costs about 64 / rows of a product, packing x 8 / columns.
constexpr std::array<Size, 8> kSizes = {{{16 * fp32::kBlockRows, fp32::kMostColumns},
                                         {8 * fp32::kBlockRows, fp32::kMostColumns},
                                         {4 * fp32::kBlockRows, fp32::kMostColumns},
                                         {4 * fp32::kBlockRows, 256},
                                         {2 * fp32::kBlockRows, 256},
                                         {fp32::kBlockRows, 256},
                                         {fp32::kBlockRows, 128},
                                         {fp32::kBlockRows, 64}}};

Size size_for(std::int64_t rows, std::span<const Product* const> products, int threads) {
  for (const Size& size : kSizes) {
    std::int64_t pieces = 0;
    for (const Product* product : products) {
      pieces += (rows + size.rows - 1) / size.rows * ((product->linear->out + size.columns - 1) / size.columns);
    }
    if (pieces >= kPiecesOfAThread * threads) return size;
  }
  return kSizes.back();
}

void cut_for_fp32(std::int64_t rows, std::span<const Product* const> products, int threads,
                  std::vector<Piece>& pieces) {
  // Row kernels read weights as they are stored.
  const bool transposed =
      std::any_of(products.begin(), products.end(), [](const Product* product) { return product->linear->transposed; });
  const std::int64_t rest = rows % kOneDnnRows, few = rest <= kFewRows && !transposed ? rest : 0, blocks = rows - few;
  const Size size = size_for(blocks, products, threads);
  for (std::int64_t row = 0; row < blocks; row += size.rows) {
    for (const Product* product : products) {
      add_columns({.product = product, .way = Way::kFp32, .row = row, .rows = std::min(size.rows, blocks - row)},
                  size.columns, pieces);
    }
  }
  for (const Product* product : products) {
    if (few > 0) add_few_rows(*product, blocks, few, pieces);
  }
}

}  // namespace

std::vector<Piece> cut_products(std::int64_t rows, std::span<const Product> products, int threads, bool by_onednn) {
  std::vector<const Product*> bf16, others;
  for (const Product& product : products) {
    const bool pairs = product.x_dtype == DType::kBF16 && product.linear->fits_bf16();
    (by_onednn && pairs ? bf16 : others).push_back(&product);
  }
  std::vector<Piece> pieces;
  if (!bf16.empty()) cut_for_onednn(rows, bf16, threads, pieces);
  if (!others.empty()) cut_for_fp32(rows, others, threads, pieces);
  return pieces;
}

}  // namespace tca::runtime
