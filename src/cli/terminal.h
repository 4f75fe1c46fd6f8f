// What a terminal can show: colours, width, and text that is safe to print on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tca::cli {

/// Columns a code point takes: none for combining marks, two for wide characters.
std::size_t code_point_width(std::uint32_t value);
/// Columns a text takes; a byte that is not UTF-8 counts as one.
std::size_t display_width(std::string_view text);
/// At most `width` columns; what is cut ends in the ellipsis, as much of it as there is room for.
std::string clip(std::string_view text, std::size_t width, std::string_view ellipsis = "…");
/// Fills up with spaces to `width` columns.
std::string pad(std::string_view text, std::size_t width, bool right_aligned = false);
/// One line: runs of control characters become one space, none at the ends. For cells and messages.
std::string one_line(std::string_view text);
/// Streamed text without the control characters that could drive a terminal (all of C0 but newline and tab, DEL).
std::string without_controls(std::string_view text);

/// What lines and bars are made of, each but the ellipsis one column wide.
struct Glyphs {
  std::string_view rule = "─", ellipsis = "…", bar = "━", groove = "·";
};
/// Plain ASCII where TERM is "dumb" or the locale, as LC_ALL, LC_CTYPE and LANG name it, is not UTF-8. Where none of
/// them is set, UTF-8 is taken for granted. Null: not set.
Glyphs choose_glyphs(const char* term, const char* locale);
/// Of this process's environment.
const Glyphs& glyphs();

/// Whether text written to this descriptor may be coloured: a terminal, no NO_COLOR, TERM not "dumb".
bool may_colour(int descriptor);
/// Whether it is a terminal whose cursor can be moved: TERM is set and not "dumb".
bool can_move_cursor(int descriptor);
bool is_terminal(int descriptor);
/// Columns of the terminal behind a descriptor; 80 where that is unknown.
std::size_t terminal_width(int descriptor);
/// Rows; 24 where that is unknown.
std::size_t terminal_height(int descriptor);
/// Columns that tables and help take: the terminal's, 40 at least; kPageWidth in pipes and files.
std::size_t output_width(int descriptor);
inline constexpr std::size_t kPageWidth = 100;

/// How output looks: as wide as what it goes to, in what lines are made of, coloured by ANSI sequences or not.
class Style {
 public:
  explicit Style(bool colour, std::size_t width = kPageWidth, const Glyphs& glyphs = Glyphs())
      : colour_(colour), width_(width), glyphs_(glyphs) {}
  bool colour() const { return colour_; }
  std::size_t width() const { return width_; }
  const Glyphs& glyphs() const { return glyphs_; }
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
  std::size_t width_;
  Glyphs glyphs_;
};

/// What suits a descriptor.
Style style_of(int descriptor);

}  // namespace tca::cli
