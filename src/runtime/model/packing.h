// Weights in the order in which oneDNN's bf16 kernels read them. oneDNN brings plain weights into it in every call,
// once for some 256 rows; we do it once for several such blocks. Its own reorder runs at 1.4 GB/s, which would cost
// more.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tca::runtime {

/// A matrix [in, columns] as oneDNN's BA16a64b2a: groups of 64 columns, each [in / 2][64][2] with in rounded up to 32
/// and zeros for what is not there.
inline constexpr std::int64_t kPackedColumns = 64, kPackedRows = 32;

constexpr std::int64_t packed_group_elements(std::int64_t in) {
  return (in + kPackedRows - 1) / kPackedRows * kPackedRows * kPackedColumns;
}
constexpr std::size_t packed_bytes(std::int64_t in, std::int64_t columns) {
  const std::int64_t groups = (columns + kPackedColumns - 1) / kPackedColumns;
  return static_cast<std::size_t>(groups * packed_group_elements(in)) * sizeof(std::uint16_t);
}

/// weight [columns, in], bf16.
void pack_weight(const std::uint16_t* weight, std::int64_t in, std::int64_t columns, std::uint16_t* packed);

}  // namespace tca::runtime
