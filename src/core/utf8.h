// UTF-8: untrusted bytes made valid, valid text read and written by characters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tca {

/// The sequence at a position of untrusted bytes. Invalid: `size` bytes stand for one U+FFFD (a maximal subpart, as
/// Unicode recommends and Python's errors="replace" does); cut_off: only because the bytes end there.
struct Utf8Sequence {
  std::size_t size;
  bool valid;
  bool cut_off;
};
Utf8Sequence scan_utf8(std::string_view bytes, std::size_t position);

/// text itself when it is valid UTF-8, else a copy in storage with U+FFFD for what is not.
std::string_view repair_utf8(std::string_view text, std::string& storage);

/// Reads the character at position and moves behind it. text is valid UTF-8.
char32_t next_code_point(std::string_view text, std::size_t& position);
/// Start of the character that ends at `end` (> 0). text is valid UTF-8.
std::size_t previous_start(std::string_view text, std::size_t end);
void append_utf8(std::string& out, char32_t code_point);
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

}  // namespace tca
