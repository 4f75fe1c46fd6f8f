// Blocks of 256 values in groups of 16 or 32, each with an integer scale (and minimum) of its own.

#include "runtime/gguf/block_values.h"

namespace tca::runtime::blocks {
namespace {

// Scales and minima of Q4_K and Q5_K: eight of each, six bits, in twelve bytes. The first four lie in the low six bits
// of bytes 0 to 3 (scales) and 4 to 7 (minima); of the last four bytes 8 to 11 have the low halves, and the two bits
// left over there the high ones.
struct SixBits {
  int scale, least;
};
SixBits six_bits(const std::uint8_t* packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  const int low = packed[group + 4];
  return {(low & 15) | (packed[group - 4] >> 6) << 4, low >> 4 | (packed[group] >> 6) << 4};
}

// Both begin with scale, minimum and what six_bits() reads. fifth(group, i): the fifth bit of a value.
template <class Fifth>
void read_q4_or_q5_k(const std::uint8_t* block, const std::uint8_t* nibbles, const Fifth& fifth, float* out) {
  const float scale = read_half(block), least = read_half(block + 2);
  for (int group = 0; group < 8; ++group) {
    const SixBits packed = six_bits(block + 4, group);
    const float group_scale = scale * static_cast<float>(packed.scale);
    const float group_least = least * static_cast<float>(packed.least);
    const std::uint8_t* from = nibbles + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int i = 0; i < 32; ++i) {
      const int value = (from[i] >> shift & 15) | fifth(group, i) << 4;
      out[group * 32 + i] = group_scale * static_cast<float>(value) - group_least;
    }
  }
}

// Scales of Q3_K: sixteen of six bits, less 32. Low halves in the nibbles of eight bytes, the low nibbles first, high
// bits two by two in four more.
int scale_of_q3(const std::uint8_t* packed, int group) {
  const int low = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4;
  const int high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
  return (low | high << 4) - 32;
}

}  // namespace

// [16] scale and minimum in nibbles, [64] two bits a value: of 128 values the first 32 lie in the lowest bits.
void read_q2_k(const std::uint8_t* block, float* out) {
  const std::uint8_t *scales = block, *packed = block + 16;
  const float scale = read_half(block + 80), least = read_half(block + 82);
  for (int group = 0; group < 16; ++group) {
    const float group_scale = scale * static_cast<float>(scales[group] & 15);
    const float group_least = least * static_cast<float>(scales[group] >> 4);
    const std::uint8_t* from = packed + group / 8 * 32 + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int i = 0; i < 16; ++i) {
      out[group * 16 + i] = group_scale * static_cast<float>(from[i] >> shift & 3) - group_least;
    }
  }
}

// [32] third bits, one of each 32 values in a bit of the byte; [64] the lower two as in Q2_K. Without the third bit
// four is taken off.
void read_q3_k(const std::uint8_t* block, float* out) {
  const std::uint8_t *third = block, *packed = block + 32, *scales = block + 96;
  const float scale = read_half(block + 108);
  for (int group = 0; group < 16; ++group) {
    const float group_scale = scale * static_cast<float>(scale_of_q3(scales, group));
    const std::uint8_t* from = packed + group / 8 * 32 + group % 2 * 16;
    const std::uint8_t* high = third + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int i = 0; i < 16; ++i) {
      const int value = (from[i] >> shift & 3) - ((high[i] >> (group / 2) & 1) != 0 ? 0 : 4);
      out[group * 16 + i] = group_scale * static_cast<float>(value);
    }
  }
}

// [128] nibbles: of 64 values the first 32 are the low ones.
void read_q4_k(const std::uint8_t* block, float* out) {
  read_q4_or_q5_k(
      block, block + 16, [](int /*group*/, int /*i*/) { return 0; }, out);
}

// As Q4_K, with [32] fifth bits: bit g of byte i belongs to value i of group g.
void read_q5_k(const std::uint8_t* block, float* out) {
  const std::uint8_t* const fifth = block + 16;
  read_q4_or_q5_k(
      block, block + 48, [fifth](int group, int i) { return fifth[i] >> group & 1; }, out);
}

// [128] low nibbles: of 128 values the first 64 are the low ones of 64 bytes. [64] high pairs of bits: of 128 values
// the first 32 lie in the lowest bits of 32 bytes. [16] scales of a byte.
void read_q6_k(const std::uint8_t* block, float* out) {
  const std::uint8_t *low = block, *high = block + 128, *scales = block + 192;
  const float scale = read_half(block + 208);
  for (int group = 0; group < 8; ++group) {
    const std::uint8_t* nibbles = low + group / 4 * 64 + group % 2 * 32;
    const std::uint8_t* pairs = high + group / 4 * 32;
    const int nibble_shift = group % 4 / 2 * 4, pair_shift = group % 4 * 2;
    for (int i = 0; i < 32; ++i) {
      const auto integer = static_cast<std::int8_t>(scales[group * 2 + i / 16]);
      const int value = ((nibbles[i] >> nibble_shift & 15) | (pairs[i] >> pair_shift & 3) << 4) - 32;
      out[group * 32 + i] = scale * static_cast<float>(integer) * static_cast<float>(value);
    }
  }
}

// [2] high pairs of bits of the scales, [4] their low nibbles, less 32; [128] nibbles, in each 32 values the low ones
// first.
void read_iq4_xs(const std::uint8_t* block, float* out) {
  const float scale = read_half(block);
  const int high = block[2] | block[3] << 8;
  for (int group = 0; group < 8; ++group) {
    const int low = block[4 + group / 2] >> (group % 2 * 4) & 15;
    const float group_scale = scale * static_cast<float>((low | (high >> (2 * group) & 3) << 4) - 32);
    const std::uint8_t* from = block + 8 + group * 16;
    for (int i = 0; i < 16; ++i) {
      out[group * 32 + i] = group_scale * kIq4Levels[from[i] & 15];
      out[group * 32 + 16 + i] = group_scale * kIq4Levels[from[i] >> 4];
    }
  }
}

}  // namespace tca::runtime::blocks
