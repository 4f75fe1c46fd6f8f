// What a terminal can show: colours, width, and text that is safe to print on it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tca::cli {

/// Columns a text takes: one per code point, none for combining marks; a byte that is not UTF-8 counts as one.
std::size_t display_width(std::string_view text);
/// At most `width` columns; what is cut ends in "…".
std::string clip(std::string_view text, std::size_t width);
/// Fills up with spaces to `width` columns.
std::string pad(std::string_view text, std::size_t width, bool right_aligned = false);
/// One line: runs of control characters become one space, none at the ends. For cells and messages.
std::string one_line(std::string_view text);
/// Streamed text without the control characters that could drive a terminal (all of C0 but newline and tab, DEL).
std::string without_controls(std::string_view text);

/// Whether text written to this descriptor may be coloured: a terminal, no NO_COLOR, TERM not "dumb".
bool may_colour(int descriptor);
bool is_terminal(int descriptor);
/// Columns of the terminal behind a descriptor; 80 where that is unknown.
std::size_t terminal_width(int descriptor);

/// Wraps text in ANSI sequences, or leaves it as it is.
class Style {
 public:
  explicit Style(bool colour) : colour_(colour) {}
  bool colour() const { return colour_; }
  std::string bold(std::string_view text) const { return wrap("1", text); }
  std::string dim(std::string_view text) const { return wrap("2", text); }
  std::string good(std::string_view text) const { return wrap("32", text); }
  std::string bad(std::string_view text) const { return wrap("31", text); }
  std::string accent(std::string_view text) const { return wrap("36", text); }
  /// Numbers of the 256-colour palette.
  std::string on(int foreground, int background, std::string_view text) const;

 private:
  std::string wrap(std::string_view code, std::string_view text) const;
  bool colour_;
};

}  // namespace tca::cli
