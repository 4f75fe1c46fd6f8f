// Weights kept as int8: symmetric, one scale an output channel. Single-threaded, dispatched at run time like kernels.h.
//
// Channels lie in groups of 64, each [in][64] with zeros for channels that are not there: a product with one row reads
// a group from front to back, a cache line an element of x, which is what hardware prefetches best; the sums of a group
// run along the lanes, so that they need no horizontal additions.
#pragma once

#include <cstdint>

#include "runtime/model/kernels.h"
#include "tca/tensor.h"

namespace tca::runtime::int8 {

inline constexpr std::int64_t kChannels = 64;

/// Channels of memory that so many take.
constexpr std::int64_t padded(std::int64_t channels) { return (channels + kChannels - 1) / kChannels * kChannels; }

/// Rows [channels, in] of dtype, at most kChannels, become one group and its scales [kChannels]: scale = max |w| / 127,
/// quantised = w / scale to the nearest, so that |w - scale * quantised| <= scale / 2 up to fp32 rounding. False when a
/// weight is not finite.
bool quantise_group(const void* rows, DType dtype, std::int64_t channels, std::int64_t in, std::int8_t* quantised,
                    float* scales);

/// As kernels::multiply_rows(), with x as it is, weight in groups and the scales of its columns: every sum over x *
/// quantised is multiplied by its channel's scale once. Each channel adds its products in the order of x.
void multiply_rows(const kernels::MultiplyRows& params, const float* scales);

/// Groups as a matrix [in, columns] of bf16: scale * quantised to the nearest.
void widen(const std::int8_t* quantised, const float* scales, std::int64_t in, std::int64_t columns,
           std::uint16_t* out);
/// The same in the order of model/packing.h.
void widen_packed(const std::int8_t* quantised, const float* scales, std::int64_t in, std::int64_t columns,
                  std::uint16_t* packed);

}  // namespace tca::runtime::int8
