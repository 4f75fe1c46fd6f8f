// Products of a block of rows in fp32, on the calling thread, dispatched at run time like kernels.h. Weights stay in
// memory as they are kept, bf16, fp32 or int8, and are widened while a panel of them is packed, once for all rows.
//
// A sum adds its products in the order of x, whatever the block and the vectors: no bit depends on how the work was cut
// into rows and columns, nor on the processor as long as it multiplies and adds in one step.
#pragma once

#include <cstdint>

#include "runtime/model/buffer.h"
#include "runtime/model/kernels.h"

namespace tca::runtime::fp32 {

/// Elements of x whose products are added up in registers. The sums are then added to those of a block of rows, which
/// stay in the second cache level, and these, after some such slices, to the result: written once a slice, it would
/// come from memory, which cost a fifth of the time.
inline constexpr std::int64_t kSumElements = 256;
inline constexpr std::int64_t kWriteElements = 2048;
/// Rows of a block: 102 KiB of x for the columns to go by, and at most 198 KiB of sums.
inline constexpr std::int64_t kBlockRows = 96;
/// Columns of a product at most: twice as much weight, packed, as a cache of 1 MiB holds. Fewer than a quarter cost:
/// x is packed again for each such product.
inline constexpr std::int64_t kMostColumns = 512;

/// One thread's; grows to the packed weights, kWriteElements floats a column.
struct Scratch {
  Buffer x, weight, sums, total;
};

/// As kernels::multiply_rows(), for any number of rows and with x as it is; scales are those of int8 weights in groups
/// (model/int8.h), else null.
void multiply_block(const kernels::MultiplyRows& params, const float* scales, Scratch& scratch);
/// The same with a weight that lies the other way, [in, columns] with `stride` elements from one row to the next.
void multiply_transposed_block(const kernels::MultiplyRows& params, std::int64_t stride, Scratch& scratch);

}  // namespace tca::runtime::fp32
