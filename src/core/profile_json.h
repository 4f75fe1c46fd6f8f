// Text form of a profile (docs/profile.md).
#pragma once

#include <cstdint>
#include <string>

namespace tca {

inline constexpr const char* kProfileFormat = "tca-profile/2";
inline constexpr const char* kOldProfileFormat = "tca-profile/1";  // without `default`; read, not written
inline constexpr double kShareTolerance = 1e-6;  // of sums and means that are stored beside their parts

constexpr bool is_block_size(std::int64_t size) { return size >= 8 && size <= 256 && (size & (size - 1)) == 0; }

/// Lower-case hex of a SHA-256.
bool is_sha256(const std::string& text);

}  // namespace tca
