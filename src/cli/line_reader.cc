#include "cli/line_reader.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/signals.h"
#include "tca/error.h"

namespace tca::cli {

namespace {
constexpr std::size_t kMaxLineBytes = std::size_t{16} << 20;
constexpr int kPollMilliseconds = 100;
}  // namespace

LineReader::Outcome LineReader::next(std::string& line) {
  for (;;) {
    const std::size_t end = buffer_.find('\n', scanned_);
    if (end != std::string::npos || (ended_ && !buffer_.empty())) {
      line = buffer_.substr(0, end);
      if (line.ends_with('\r')) line.pop_back();
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      scanned_ = 0;
      return Outcome::kLine;
    }
    if (ended_) return Outcome::kEnd;
    scanned_ = buffer_.size();
    if (scanned_ > kMaxLineBytes) {
      throw Error(ErrorCategory::kBadFile,
                  fmt::format("a line of standard input is longer than {} MiB", kMaxLineBytes >> 20));
    }
    // Asked again and again: a signal just before the wait, or on another thread, interrupts no wait.
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    const bool ready = poll(&input, 1, kPollMilliseconds) > 0;
    const bool news = stop_requested() && !told_;
    told_ = stop_requested();
    if (news) return Outcome::kInterrupted;
    if (!ready) continue;
    char piece[1 << 14];
    const ssize_t got = read(STDIN_FILENO, piece, sizeof(piece));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw Error(ErrorCategory::kIo, fmt::format("cannot read standard input: {}", std::strerror(errno)));
    }
    if (got == 0) ended_ = true;
    buffer_.append(piece, static_cast<std::size_t>(got));
  }
}

}  // namespace tca::cli
