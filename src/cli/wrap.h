// Words to lines.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"

namespace tca::cli {

/// Lines of at most `width` columns, broken at spaces; a longer word has a line of its own. No line for no words.
std::vector<std::string> wrap_words(std::string_view text, std::size_t width);
/// Those lines, each behind `indent` spaces and ended by a newline; every line of the text is a paragraph.
std::string fill(std::string_view text, std::size_t width, std::size_t indent);
/// "  label      text", the text wrapped in its column.
std::string labelled(const Style& style, std::string_view label, std::size_t label_width, std::string_view text);
/// A shell command broken at spaces outside of quotes, with backslashes, so that it can still be pasted.
std::string fill_command(std::string_view command, std::size_t width, std::size_t indent);

}  // namespace tca::cli
