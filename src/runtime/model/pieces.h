// How the products of a run are cut into pieces that threads take one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/model/linear.h"

namespace tca::runtime {

/// Rows that one call of oneDNN takes. More are not faster: inside, it brings weights into its order about as often.
inline constexpr std::int64_t kOneDnnRows = 256;
/// So few rows are left to the row kernels, which read the weights once from memory without packing them: for so many
/// at a time they are as quick as blocks are.
inline constexpr std::int64_t kFewRows = 8;

enum class Way {
  kRows,    // row kernels
  kFp32,    // one block of model/fp32_product.h
  kOneDnn,  // blocks of bf16, of kOneDnnRows rows or one of fewer
};

struct Piece {
  const Product* product = nullptr;
  Way way = Way::kRows;
  std::int64_t row = 0, rows = 0, column = 0, columns = 0;

  const std::byte* x() const {
    return static_cast<const std::byte*>(product->x) + row * product->linear->in * size(product->x_dtype);
  }
  const std::byte* weight() const {
    const Linear& linear = *product->linear;
    return static_cast<const std::byte*>(linear.weight) +
           column * (linear.transposed ? 1 : linear.in) * (linear.scales.empty() ? size(linear.dtype) : 1);
  }
  const float* bias() const { return at_column(product->linear->bias); }
  const float* scales() const { return at_column(product->linear->scales); }  // null when the weight is not int8
  std::byte* out() const {
    return static_cast<std::byte*>(product->out) + (row * product->linear->out + column) * size(product->out_dtype);
  }

  static std::int64_t size(DType dtype) { return static_cast<std::int64_t>(dtype_size(dtype)); }
  const float* at_column(const std::vector<float>& values) const {
    return values.empty() ? nullptr : values.data() + column;
  }
};

/// Pieces of all products. Where a row's products are added up in another order, it depends on the number of rows
/// alone, and from a multiple of kOneDnnRows on no more on how many there are before; the cuts between depend on the
/// threads, too, but change no bit. by_onednn: whether blocks of bf16 go to it.
std::vector<Piece> cut_products(std::int64_t rows, std::span<const Product> products, int threads, bool by_onednn);

}  // namespace tca::runtime
