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
constexpr int kPollMilliseconds = 100;
}  // namespace

MessageReader::Input MessageReader::read_some(std::string& bytes) {
  // Asked again and again: a signal just before the wait, or on another thread, interrupts no wait.
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  const bool ready = poll(&input, 1, kPollMilliseconds) > 0;
  const bool news = stop_requested() && !told_;
  told_ = stop_requested();
  if (news) return Input::kInterrupted;
  if (!ready) return Input::kNone;
  char piece[1 << 14];
  const ssize_t got = read(STDIN_FILENO, piece, sizeof(piece));
  if (got < 0 && errno == EINTR) return Input::kNone;
  if (got < 0) {
    throw Error(ErrorCategory::kIo, fmt::format("cannot read standard input: {}", std::strerror(errno)));
  }
  bytes.append(piece, static_cast<std::size_t>(got));
  return got == 0 ? Input::kEnd : Input::kSome;
}

MessageReader::Outcome LineReader::next(std::string& line) {
  for (;;) {
    const std::size_t end = buffer_.find('\n', scanned_);
    if (end != std::string::npos || (ended_ && !buffer_.empty())) {
      line = buffer_.substr(0, end);
      if (line.ends_with('\r')) line.pop_back();
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      scanned_ = 0;
      return Outcome::kMessage;
    }
    if (ended_) return Outcome::kEnd;
    scanned_ = buffer_.size();
    if (scanned_ > kMaxMessageBytes) {
      throw Error(ErrorCategory::kBadFile,
                  fmt::format("a line of standard input is longer than {} MiB", kMaxMessageBytes >> 20));
    }
    switch (read_some(buffer_)) {
      case Input::kInterrupted:
        return Outcome::kInterrupted;
      case Input::kEnd:
        ended_ = true;
        break;
      case Input::kNone:
      case Input::kSome:
        break;
    }
  }
}

}  // namespace tca::cli
