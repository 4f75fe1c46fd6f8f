#include "cli/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "cli/utf8.h"

namespace tca::cli {

namespace {

bool is_combining(std::uint32_t value) {
  return (value >= 0x300 && value <= 0x36F) || (value >= 0x200B && value <= 0x200F) ||
         (value >= 0xFE00 && value <= 0xFE0F) || (value >= 0x20D0 && value <= 0x20FF);
}

// C0, DEL and C1: what terminals act upon instead of showing it.
bool is_control(const CodePoint& point) {
  return point.valid && (point.value < 0x20 || (point.value >= 0x7F && point.value < 0xA0));
}

bool variable_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (!point.valid || !is_combining(point.value)) ++width;
    text.remove_prefix(point.bytes);
  }
  return width;
}

std::string clip(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return "";
  std::size_t bytes = 0, used = 0;
  while (bytes < text.size()) {
    const CodePoint point = first_code_point(text.substr(bytes));
    const std::size_t columns = point.valid && is_combining(point.value) ? 0 : 1;
    if (used + columns > width - 1) break;
    used += columns;
    bytes += point.bytes;
  }
  while (bytes > 0 && text[bytes - 1] == ' ') --bytes;
  return std::string(text.substr(0, bytes)) + "…";
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

bool may_colour(int descriptor) {
  const char* terminal = std::getenv("TERM");
  return is_terminal(descriptor) && !variable_set("NO_COLOR") && terminal != nullptr &&
         std::string_view(terminal) != "dumb";
}

std::size_t terminal_width(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string Style::wrap(std::string_view code, std::string_view text) const {
  return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

std::string Style::on(int foreground, int background, std::string_view text) const {
  return wrap(fmt::format("38;5;{};48;5;{}", foreground, background), text);
}

}  // namespace tca::cli
