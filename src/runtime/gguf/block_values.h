// The functions behind BlockFormat::read: one block each. Blocks are little-endian and not aligned.
#pragma once

#include <cstdint>

#include "core/half.h"

namespace tca::runtime::blocks {

inline float read_half(const std::uint8_t* at) { return fp16_to_float(static_cast<std::uint16_t>(at[0] | at[1] << 8)); }

// 32 values each.
void read_q4_0(const std::uint8_t* block, float* out);
void read_q4_1(const std::uint8_t* block, float* out);
void read_q5_0(const std::uint8_t* block, float* out);
void read_q5_1(const std::uint8_t* block, float* out);
void read_q8_0(const std::uint8_t* block, float* out);
void read_iq4_nl(const std::uint8_t* block, float* out);
void read_mxfp4(const std::uint8_t* block, float* out);

// 256 values each, with scales of 16 or 32 that are integers themselves.
void read_q2_k(const std::uint8_t* block, float* out);
void read_q3_k(const std::uint8_t* block, float* out);
void read_q4_k(const std::uint8_t* block, float* out);
void read_q5_k(const std::uint8_t* block, float* out);
void read_q6_k(const std::uint8_t* block, float* out);
void read_iq4_xs(const std::uint8_t* block, float* out);

/// The 16 levels of IQ4_NL and IQ4_XS.
inline constexpr float kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

}  // namespace tca::runtime::blocks
