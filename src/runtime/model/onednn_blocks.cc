#ifdef TCA_WITH_ONEDNN

#include "runtime/model/onednn_blocks.h"

#include <algorithm>
#include <cstring>

#include "runtime/model/int8.h"
#include "runtime/model/packing.h"

namespace tca::runtime {
namespace {

std::int64_t block_rows(const Piece& piece) { return std::min(piece.rows, kOneDnnRows); }

/// Whole blocks are packed whether their piece has one or several: their bits must not depend on it.
bool wants_packed(const Piece& piece) {
  return !piece.product->linear->scales.empty() || block_rows(piece) == kOneDnnRows;
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
  std::byte* to = block.out();
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

/// The piece's weights as oneDNN reads them.
const void* weight_in(WeightLayout layout, const Piece& piece, Buffer& buffer) {
  const std::int64_t in = piece.product->linear->in, columns = piece.columns;
  if (layout == WeightLayout::kStored) return piece.weight();
  const auto* const int8 = reinterpret_cast<const std::int8_t*>(piece.weight());
  if (layout == WeightLayout::kTransposed) {
    buffer.reserve(static_cast<std::size_t>(in * columns) * sizeof(std::uint16_t));
    int8::widen(int8, piece.scales(), in, columns, buffer.as<std::uint16_t>());
    return buffer.data();
  }
  buffer.reserve(packed_bytes(in, columns));
  auto* const packed = buffer.as<std::uint16_t>();
  if (piece.scales() == nullptr) {
    pack_weight(reinterpret_cast<const std::uint16_t*>(piece.weight()), in, columns, packed);
  } else {
    int8::widen_packed(int8, piece.scales(), in, columns, packed);
  }
  return packed;
}

}  // namespace

void OneDnnBlocks::compile(std::span<const Piece> pieces) {
  const OneOpenMpThread one_thread;
  chosen_.assign(pieces.size(), nullptr);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].way == Way::kOneDnn) chosen_[i] = &block_product(pieces[i]);
  }
}

const BlockProduct& OneDnnBlocks::block_product(const Piece& piece) {
  const Linear& linear = *piece.product->linear;
  const WeightLayout otherwise = linear.scales.empty() ? WeightLayout::kStored : WeightLayout::kTransposed;
  const BlockShape shape{.rows = block_rows(piece),
                         .in = linear.in,
                         .columns = piece.columns,
                         .out_stride = has_own_result(piece) ? piece.columns : linear.out,
                         .out_dtype = piece.product->out_dtype,
                         .add = piece.product->add && !has_own_result(piece),
                         .bias = !linear.bias.empty(),
                         .layout = wants_packed(piece) ? WeightLayout::kPacked : otherwise,
                         .otherwise = otherwise};
  const auto found = compiled_.find(shape);
  if (found != compiled_.end()) return found->second;
  return compiled_.emplace(shape, BlockProduct(engine_, shape)).first->second;
}

void OneDnnBlocks::multiply(const Piece& piece, std::size_t at, Scratch& scratch) const {
  const OneOpenMpThread one_thread;
  const BlockProduct& product = *chosen_[at];
  const void* const weight = weight_in(product.layout(), piece, scratch.weight);
  void* const onednn = scratch.onednn.reserve(product.scratch_bytes());
  Piece block = piece;
  block.rows = block_rows(piece);
  void* const apart = has_own_result(piece) ? scratch.result.reserve(result_bytes(block)) : nullptr;
  for (; block.row < piece.row + piece.rows; block.row += block.rows) {
    product.run({.x = block.x(),
                 .weight = weight,
                 .bias = block.bias(),
                 .out = apart == nullptr ? block.out() : apart,
                 .scratch = onednn});
    if (apart != nullptr) deliver(block, apart);
  }
}

}  // namespace tca::runtime

#endif
