// Bytes as text of RFC 4648's alphabet, with padding.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tca {

std::string to_base64(std::span<const std::byte> bytes);
/// Nothing for text that to_base64() does not write.
std::optional<std::vector<std::byte>> from_base64(std::string_view text);

}  // namespace tca
