#include "cli/edit_buffer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cli/terminal.h"
#include "cli/utf8.h"
#include "core/file.h"
#include "tca/error.h"

namespace tca::cli {

namespace {

constexpr std::size_t kMostMessages = 1000;  // read back from a file
constexpr std::size_t kMostFileBytes = std::size_t{64} << 20;

// Words are parted by white space.
bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t'; }

// Where the code point that ends at `position` begins.
std::size_t code_point_before(std::string_view text, std::size_t position) {
  for (std::size_t bytes = 1; bytes <= std::min<std::size_t>(4, position); ++bytes) {
    const CodePoint point = first_code_point(text.substr(position - bytes));
    if (point.valid && point.bytes == bytes) return position - bytes;
  }
  return position - 1;  // a broken byte
}

// Belongs to the character in front of it.
bool combines(std::string_view text, std::size_t position) {
  if (position >= text.size() || is_space(text[position])) return false;
  const CodePoint point = first_code_point(text.substr(position));
  return point.valid && code_point_width(point.value) == 0;
}

// One message a line.
std::string as_line(const std::string& message) {
  std::string line;
  for (const char c : message) line += c == '\n' ? std::string("\\n") : c == '\\' ? "\\\\" : std::string(1, c);
  return line + "\n";
}

std::string from_line(std::string_view line) {
  std::string message;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool escaped = line[i] == '\\' && i + 1 < line.size();
    message += !escaped ? line[i] : line[++i] == 'n' ? '\n' : line[i];
  }
  return message;
}

}  // namespace

void EditBuffer::set(std::string text) {
  text_ = std::move(text);
  cursor_ = text_.size();
}

std::size_t EditBuffer::before(std::size_t position) const {
  if (position == 0) return 0;
  do {
    position = code_point_before(text_, position);
  } while (position > 0 && combines(text_, position));
  return position;
}

std::size_t EditBuffer::behind(std::size_t position) const {
  if (position >= text_.size()) return text_.size();
  do {
    position += first_code_point(std::string_view(text_).substr(position)).bytes;
  } while (combines(text_, position));
  return position;
}

std::size_t EditBuffer::word_begin() const {
  std::size_t position = cursor_;
  while (position > 0 && is_space(text_[position - 1])) --position;
  while (position > 0 && !is_space(text_[position - 1])) --position;
  return position;
}

std::size_t EditBuffer::word_end() const {
  std::size_t position = cursor_;
  while (position < text_.size() && is_space(text_[position])) ++position;
  while (position < text_.size() && !is_space(text_[position])) ++position;
  return position;
}

std::size_t EditBuffer::line_begin() const {
  const std::size_t feed = cursor_ == 0 ? std::string::npos : text_.rfind('\n', cursor_ - 1);
  return feed == std::string::npos ? 0 : feed + 1;
}

std::size_t EditBuffer::line_end() const { return std::min(text_.find('\n', cursor_), text_.size()); }

void EditBuffer::insert(std::string_view text) {
  text_.insert(cursor_, text);
  cursor_ += text.size();
}

void EditBuffer::erase_before() {
  const std::size_t begin = before(cursor_);
  text_.erase(begin, cursor_ - begin);
  cursor_ = begin;
}

void EditBuffer::erase_behind() { text_.erase(cursor_, behind(cursor_) - cursor_); }

void EditBuffer::kill(std::size_t begin, std::size_t end) {
  if (begin == end) return;
  killed_ = text_.substr(begin, end - begin);
  text_.erase(begin, end - begin);
  cursor_ = begin;
}

// At a line's end the line feed goes, as in other editors.
void EditBuffer::kill_to_end() {
  const std::size_t end = line_end();
  kill(cursor_, end == cursor_ && end < text_.size() ? end + 1 : end);
}

void EditBuffer::kill_to_begin() { kill(line_begin(), cursor_); }
void EditBuffer::kill_word() { kill(word_begin(), cursor_); }
void EditBuffer::kill_word_forth() { kill(cursor_, word_end()); }

History::History(std::string file) : file_(std::move(file)) {
  if (file_.empty() || !std::filesystem::exists(file_)) return;
  const std::string lines = read_file(file_, kMostFileBytes);
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    if (end > begin) messages_.push_back(from_line(std::string_view(lines).substr(begin, end - begin)));
    begin = end + 1;
  }
  if (messages_.size() > kMostMessages) {
    messages_.erase(messages_.begin(), messages_.end() - static_cast<std::ptrdiff_t>(kMostMessages));
  }
  begin_message();
}

void History::add(const std::string& message) {
  if (!messages_.empty() && messages_.back() == message) return;
  messages_.push_back(message);
  if (file_.empty()) return;
  // For its owner alone: messages are private.
  const int file = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const std::string line = as_line(message);
  const bool written = file >= 0 && ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const int error = errno;
  if (file >= 0) ::close(file);
  if (!written) {
    throw Error(ErrorCategory::kIo, fmt::format("--history {}: cannot write: {}", file_, std::strerror(error)));
  }
}

bool History::back(const std::string& draft, std::string& message) {
  if (place_ == 0) return false;
  if (place_ == messages_.size()) draft_ = draft;
  message = messages_[--place_];
  return true;
}

bool History::forth(std::string& message) {
  if (place_ >= messages_.size()) return false;
  ++place_;
  message = place_ == messages_.size() ? draft_ : messages_[place_];
  return true;
}

}  // namespace tca::cli
