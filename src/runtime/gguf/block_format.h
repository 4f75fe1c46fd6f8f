// Blocks of quantised values, as GGUF files store them: integers of few bits, and scales for 32 or 256 of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tca::runtime {

enum class BlockType {
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIq4Nl,
  kIq4Xs,
  kMxFp4,
};

struct BlockFormat {
  BlockType type;
  const char* name;     // as GGUF's tools call it
  std::uint32_t id;     // in files
  std::int64_t values;  // of a block
  std::int64_t bytes;   // that it takes
  /// The values of `count` blocks, one after the other: what the format's definition gives in fp32, rounded after
  /// every operation of it.
  void (*read)(const std::byte* blocks, std::int64_t count, float* out);

  std::int64_t bytes_of(std::int64_t num_values) const { return num_values / values * bytes; }
};

/// All that are read, by their number in files.
std::span<const BlockFormat> block_formats();
/// Null when there is none of this number.
const BlockFormat* find_block_format(std::uint32_t id);

}  // namespace tca::runtime
