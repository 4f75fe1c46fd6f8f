#include "cli/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "cli/utf8.h"

namespace tca::cli {

namespace {

// C0, DEL and C1: what terminals act upon instead of showing it.
bool is_control(const CodePoint& point) {
  return point.valid && (point.value < 0x20 || (point.value >= 0x7F && point.value < 0xA0));
}

bool variable_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

std::size_t code_point_width(std::uint32_t value) {
  const int width = utf8proc_charwidth(static_cast<utf8proc_int32_t>(value));
  return width > 0 ? static_cast<std::size_t>(width) : 0;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    width += point.valid ? code_point_width(point.value) : 1;
    text.remove_prefix(point.bytes);
  }
  return width;
}

std::string clip(std::string_view text, std::size_t width, std::string_view ellipsis) {
  if (display_width(text) <= width) return std::string(text);
  const std::size_t dots = display_width(ellipsis);
  if (width < dots) return std::string(ellipsis.substr(0, dots == 1 ? 0 : width));
  std::size_t bytes = 0, used = 0;
  while (bytes < text.size()) {
    const CodePoint point = first_code_point(text.substr(bytes));
    const std::size_t columns = point.valid ? code_point_width(point.value) : 1;
    if (used + columns > width - dots) break;
    used += columns;
    bytes += point.bytes;
  }
  while (bytes > 0 && text[bytes - 1] == ' ') --bytes;
  return std::string(text.substr(0, bytes)).append(ellipsis);
}

std::string pad(std::string_view text, std::size_t width, bool right_aligned) {
  const std::size_t columns = display_width(text);
  const std::string space(columns < width ? width - columns : 0, ' ');
  return right_aligned ? space + std::string(text) : std::string(text) + space;
}

std::string one_line(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (!is_control(point)) {
      line += text.substr(0, point.bytes);
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
    text.remove_prefix(point.bytes);
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

std::string without_controls(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (!is_control(point) || point.value == '\n' || point.value == '\t') clean += text.substr(0, point.bytes);
    text.remove_prefix(point.bytes);
  }
  return clean;
}

bool is_terminal(int descriptor) { return isatty(descriptor) == 1; }

bool can_move_cursor(int descriptor) {
  const char* terminal = std::getenv("TERM");
  return is_terminal(descriptor) && terminal != nullptr && std::string_view(terminal) != "dumb";
}

bool may_colour(int descriptor) { return can_move_cursor(descriptor) && !variable_set("NO_COLOR"); }

std::size_t terminal_width(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::size_t terminal_height(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_row > 0) return size.ws_row;
  return 24;
}

std::size_t output_width(int descriptor) {
  constexpr std::size_t kNarrowest = 40;
  return is_terminal(descriptor) ? std::max(kNarrowest, terminal_width(descriptor)) : kPageWidth;
}

Glyphs choose_glyphs(const char* term, const char* locale) {
  const auto names_utf8 = [](std::string_view name) {
    for (const char* const form : {"UTF-8", "utf-8", "UTF8", "utf8"}) {
      if (name.find(form) != std::string_view::npos) return true;
    }
    return false;
  };
  const bool dumb = term != nullptr && std::string_view(term) == "dumb";
  const bool other = locale != nullptr && !names_utf8(locale);
  return dumb || other ? Glyphs{.rule = "-", .ellipsis = "...", .bar = "#", .groove = "."} : Glyphs();
}

const Glyphs& glyphs() {
  static const Glyphs chosen = [] {
    for (const char* const name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
      if (variable_set(name)) return choose_glyphs(std::getenv("TERM"), std::getenv(name));
    }
    return choose_glyphs(std::getenv("TERM"), nullptr);
  }();
  return chosen;
}

Style style_of(int descriptor) { return Style(may_colour(descriptor), output_width(descriptor), glyphs()); }

std::string Style::wrap(std::string_view code, std::string_view text) const {
  return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

std::string Style::on(int foreground, int background, std::string_view text) const {
  return wrap(fmt::format("38;5;{};48;5;{}", foreground, background), text);
}

}  // namespace tca::cli
