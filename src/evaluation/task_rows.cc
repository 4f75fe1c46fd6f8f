#include "evaluation/task_rows.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace tca::evaluation {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf", kBlanks = " \t\r\n";

bool is_blank(std::string_view text) { return text.find_first_not_of(kBlanks) == std::string_view::npos; }

// Where an item of an array ends: at the comma or bracket that belongs to no string, object or array of its own.
std::size_t end_of_item(std::string_view text) {
  std::int64_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (depth == 0 && (c == ',' || c == ']')) return i;
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
  }
  return std::string_view::npos;
}

}  // namespace

TaskRows::TaskRows(std::string_view content, std::string file) : rest_(content), file_(std::move(file)) {
  if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
  const std::size_t begin = rest_.find_first_not_of(kBlanks);
  is_array_ = begin != std::string_view::npos && rest_[begin] == '[';
  if (is_array_) rest_.remove_prefix(begin + 1);
}

std::optional<std::string_view> TaskRows::next() { return is_array_ ? next_item() : next_line(); }

std::optional<std::string_view> TaskRows::next_line() {
  while (!rest_.empty()) {
    const std::string_view line = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(std::min(rest_.size(), line.size() + 1));
    ++number_;
    if (!is_blank(line)) return line;
  }
  return std::nullopt;
}

std::optional<std::string_view> TaskRows::next_item() {
  if (ended_) return std::nullopt;
  const std::size_t end = end_of_item(rest_);
  if (end == std::string_view::npos) {
    fail(ErrorCategory::kBadFile, text(file_, ": the array does not end: item ", number_ + 1, " is cut off"));
  }
  const std::string_view item = rest_.substr(0, end);
  ended_ = rest_[end] == ']';
  rest_.remove_prefix(end + 1);
  if (ended_ && !is_blank(rest_)) fail(ErrorCategory::kBadFile, text(file_, ": text follows the end of the array"));
  if (ended_ && number_ == 0 && is_blank(item)) return std::nullopt;
  ++number_;
  if (is_blank(item)) fail(ErrorCategory::kBadFile, text(file_, ": item ", number_, " of the array is empty"));
  return item;
}

}  // namespace tca::evaluation
