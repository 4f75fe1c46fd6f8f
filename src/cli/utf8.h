// UTF-8, one code point at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tca::cli {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 1;  // 1 for a byte that begins no valid sequence
  bool valid = false;
};

/// The code point at the beginning of a text that is not empty. Overlong forms and surrogates are not valid.
CodePoint first_code_point(std::string_view text);
bool is_utf8(std::string_view text);

}  // namespace tca::cli
