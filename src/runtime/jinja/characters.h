// What Python's str knows about characters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "runtime/jinja/text.h"

namespace tca::runtime::jinja {

/// str.isspace, and what str.strip removes.
bool is_space(char32_t c);
/// Shown as itself by repr.
bool is_printable(char32_t c);
bool is_decimal(char32_t c);  // a digit of any script
bool is_digit(char32_t c);    // also superscripts and the like
bool is_alphabetic(char32_t c);
bool is_lower(char32_t c);
bool is_upper(char32_t c);
bool is_title(char32_t c);
/// Of \w in a regular expression.
bool is_word(char32_t c);

/// Whole texts, since one character may become several, and a final sigma differs from others.
Text to_upper(const Text& text);
Text to_lower(const Text& text);
/// The first character in title case, the rest lower.
Text to_capitalized(const Text& text);
/// So for each run of cased characters.
Text to_title(const Text& text);
Text to_swapped_case(const Text& text);

/// Number of characters.
std::size_t length_of(std::string_view utf8);
/// Byte where the character begins; characters may be the length, for the end.
std::size_t byte_of(std::string_view utf8, std::size_t character);

}  // namespace tca::runtime::jinja
