#include "cli/input.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/output.h"
#include "cli/signals.h"
#include "cli/utf8.h"
#include "core/file.h"

namespace tca::cli {

namespace {

// About 60M tokens of English: more than any model reads, little enough to hold.
constexpr std::size_t kMaxTextBytes = std::size_t{256} << 20;

std::string read_standard_input() {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (got == 0) return text;
    if (stop_requested()) throw Error(ErrorCategory::kCancelled, "interrupted");
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw Error(ErrorCategory::kIo, fmt::format("cannot read standard input: {}", std::strerror(errno)));
    }
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > kMaxTextBytes) {
      throw Error(ErrorCategory::kBadFile,
                  fmt::format("standard input is longer than {} MiB, the most that is read", kMaxTextBytes >> 20));
    }
  }
}

}  // namespace

std::string read_text(const std::string& path) {
  std::string text = path == "-" ? read_standard_input() : read_file(path, kMaxTextBytes);
  if (!is_utf8(text)) {
    warn(fmt::format("{} is not UTF-8 throughout; broken bytes are read as U+FFFD",
                     path == "-" ? "standard input" : path));
  }
  return text;
}

std::string read_text_not_empty(const std::string& path, const std::string& what) {
  std::string text = read_text(path);
  if (text.empty()) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("the {} is empty ({})", what, path == "-" ? "standard input" : path));
  }
  return text;
}

}  // namespace tca::cli
