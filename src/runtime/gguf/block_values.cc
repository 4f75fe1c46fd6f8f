// Blocks of 32 values. Of packed nibbles the low ones are the first 16 values, the high ones the last.
#include "runtime/gguf/block_values.h"

#include <bit>

namespace tca::runtime::blocks {
namespace {

constexpr int kHalf = 16;

// The fifth bits, one a value.
std::uint32_t read_word(const std::uint8_t* at) {
  return at[0] | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24;
}

// Value i of 32 from nibbles and fifth bits, 0 to 31.
int five_bits(const std::uint8_t* nibbles, std::uint32_t high, int i) {
  const int low = i < kHalf ? nibbles[i] & 15 : nibbles[i - kHalf] >> 4;
  return low | static_cast<int>(high >> i & 1) << 4;
}

// An exponent of E8M0, halved: the levels of MXFP4 are kept doubled, as integers.
float half_power(std::uint8_t exponent) {
  const std::uint32_t bits = exponent < 2 ? 0x00200000u << exponent : static_cast<std::uint32_t>(exponent - 1) << 23;
  return std::bit_cast<float>(bits);
}

}  // namespace

void read_q4_0(const std::uint8_t* block, float* out) {
  const float scale = read_half(block);
  for (int i = 0; i < kHalf; ++i) {
    const std::uint8_t pair = block[2 + i];
    out[i] = scale * static_cast<float>((pair & 15) - 8);
    out[kHalf + i] = scale * static_cast<float>((pair >> 4) - 8);
  }
}

void read_q4_1(const std::uint8_t* block, float* out) {
  const float scale = read_half(block), least = read_half(block + 2);
  for (int i = 0; i < kHalf; ++i) {
    const std::uint8_t pair = block[4 + i];
    out[i] = scale * static_cast<float>(pair & 15) + least;
    out[kHalf + i] = scale * static_cast<float>(pair >> 4) + least;
  }
}

void read_q5_0(const std::uint8_t* block, float* out) {
  const float scale = read_half(block);
  const std::uint32_t high = read_word(block + 2);
  for (int i = 0; i < 2 * kHalf; ++i) out[i] = scale * static_cast<float>(five_bits(block + 6, high, i) - 16);
}

void read_q5_1(const std::uint8_t* block, float* out) {
  const float scale = read_half(block), least = read_half(block + 2);
  const std::uint32_t high = read_word(block + 4);
  for (int i = 0; i < 2 * kHalf; ++i) out[i] = scale * static_cast<float>(five_bits(block + 8, high, i)) + least;
}

void read_q8_0(const std::uint8_t* block, float* out) {
  const float scale = read_half(block);
  for (int i = 0; i < 2 * kHalf; ++i) out[i] = static_cast<float>(static_cast<std::int8_t>(block[2 + i])) * scale;
}

void read_iq4_nl(const std::uint8_t* block, float* out) {
  const float scale = read_half(block);
  for (int i = 0; i < kHalf; ++i) {
    const std::uint8_t pair = block[2 + i];
    out[i] = scale * kIq4Levels[pair & 15];
    out[kHalf + i] = scale * kIq4Levels[pair >> 4];
  }
}

void read_mxfp4(const std::uint8_t* block, float* out) {
  constexpr float kLevels[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  const float scale = half_power(block[0]);
  for (int i = 0; i < kHalf; ++i) {
    const std::uint8_t pair = block[1 + i];
    out[i] = scale * kLevels[pair & 15];
    out[kHalf + i] = scale * kLevels[pair >> 4];
  }
}

}  // namespace tca::runtime::blocks
