#include "runtime/gguf/block_format.h"

#include <algorithm>

#include "runtime/gguf/block_values.h"

namespace tca::runtime {
namespace {

template <void (*kReadBlock)(const std::uint8_t*, float*), std::int64_t kValues, std::int64_t kBytes>
void read_all(const std::byte* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    kReadBlock(reinterpret_cast<const std::uint8_t*>(blocks) + i * kBytes, out + i * kValues);
  }
}

template <void (*kReadBlock)(const std::uint8_t*, float*), std::int64_t kValues, std::int64_t kBytes>
constexpr BlockFormat format(BlockType type, const char* name, std::uint32_t id) {
  return {type, name, id, kValues, kBytes, read_all<kReadBlock, kValues, kBytes>};
}

// Bytes: scales (and minima) of two, one of MXFP4; then the packed integers, and in the larger blocks their scales.
constexpr BlockFormat kFormats[] = {
    format<blocks::read_q4_0, 32, 2 + 16>(BlockType::kQ4_0, "Q4_0", 2),
    format<blocks::read_q4_1, 32, 2 + 2 + 16>(BlockType::kQ4_1, "Q4_1", 3),
    format<blocks::read_q5_0, 32, 2 + 4 + 16>(BlockType::kQ5_0, "Q5_0", 6),
    format<blocks::read_q5_1, 32, 2 + 2 + 4 + 16>(BlockType::kQ5_1, "Q5_1", 7),
    format<blocks::read_q8_0, 32, 2 + 32>(BlockType::kQ8_0, "Q8_0", 8),
    format<blocks::read_q2_k, 256, 16 + 64 + 2 + 2>(BlockType::kQ2_K, "Q2_K", 10),
    format<blocks::read_q3_k, 256, 32 + 64 + 12 + 2>(BlockType::kQ3_K, "Q3_K", 11),
    format<blocks::read_q4_k, 256, 2 + 2 + 12 + 128>(BlockType::kQ4_K, "Q4_K", 12),
    format<blocks::read_q5_k, 256, 2 + 2 + 12 + 32 + 128>(BlockType::kQ5_K, "Q5_K", 13),
    format<blocks::read_q6_k, 256, 128 + 64 + 16 + 2>(BlockType::kQ6_K, "Q6_K", 14),
    format<blocks::read_iq4_nl, 32, 2 + 16>(BlockType::kIq4Nl, "IQ4_NL", 20),
    format<blocks::read_iq4_xs, 256, 2 + 2 + 4 + 128>(BlockType::kIq4Xs, "IQ4_XS", 23),
    format<blocks::read_mxfp4, 32, 1 + 16>(BlockType::kMxFp4, "MXFP4", 39),
};

}  // namespace

std::span<const BlockFormat> block_formats() { return kFormats; }

const BlockFormat* find_block_format(std::uint32_t id) {
  const auto* const found =
      std::find_if(std::begin(kFormats), std::end(kFormats), [&](const BlockFormat& f) { return f.id == id; });
  return found == std::end(kFormats) ? nullptr : found;
}

}  // namespace tca::runtime
