#include "cli/keys.h"

#include <algorithm>

#include "cli/utf8.h"

namespace tca::cli {

namespace {

constexpr char kEscape = '\x1b';
constexpr std::string_view kPasteEnd = "\x1b[201~";
constexpr std::size_t kLongestSequence = 32;  // what is longer is no key

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

KeyKind control_key(char c) {
  switch (c) {
    case 0x01:
      return KeyKind::kHome;
    case 0x02:
      return KeyKind::kLeft;
    case 0x03:
      return KeyKind::kInterrupt;
    case 0x04:
      return KeyKind::kEndOfFile;
    case 0x05:
      return KeyKind::kEnd;
    case 0x06:
      return KeyKind::kRight;
    case 0x08:
    case 0x7f:
      return KeyKind::kBackspace;
    case '\n':
    case '\r':
      return KeyKind::kEnter;
    case 0x0b:
      return KeyKind::kKillToEnd;
    case 0x0c:
      return KeyKind::kClearScreen;
    case 0x0e:
      return KeyKind::kHistoryForth;
    case 0x10:
      return KeyKind::kHistoryBack;
    case 0x15:
      return KeyKind::kKillToBegin;
    case 0x17:
      return KeyKind::kKillWord;
    case 0x19:
      return KeyKind::kYank;
    case 0x1a:
      return KeyKind::kSuspend;
    default:
      return KeyKind::kIgnored;
  }
}

// Behind an escape: what Alt makes of a key.
KeyKind alt_key(char c) {
  switch (c) {
    case 'b':
      return KeyKind::kWordLeft;
    case 'f':
      return KeyKind::kWordRight;
    case 'd':
      return KeyKind::kKillWordForth;
    case '\r':
    case '\n':
      return KeyKind::kNewLine;
    case 0x08:
    case 0x7f:
      return KeyKind::kKillWord;
    default:
      return KeyKind::kIgnored;
  }
}

// "\x1b[" or "\x1bO", parameters, a last letter. Ctrl (5) and Alt (3) make words of characters.
KeyKind sequence_key(std::string_view parameters, char last) {
  const bool words = parameters.ends_with(";5") || parameters.ends_with(";3");
  switch (last) {
    case 'A':
      return KeyKind::kUp;
    case 'B':
      return KeyKind::kDown;
    case 'C':
      return words ? KeyKind::kWordRight : KeyKind::kRight;
    case 'D':
      return words ? KeyKind::kWordLeft : KeyKind::kLeft;
    case 'H':
      return KeyKind::kHome;
    case 'F':
      return KeyKind::kEnd;
    case '~':
      if (parameters == "1" || parameters == "7") return KeyKind::kHome;
      if (parameters == "4" || parameters == "8") return KeyKind::kEnd;
      return parameters == "3" ? KeyKind::kDelete : KeyKind::kIgnored;
    default:
      return KeyKind::kIgnored;
  }
}

// What stays of a paste.
std::string pasted(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (c == '\r') {
      if (i + 1 < bytes.size() && bytes[i + 1] == '\n') continue;
      text += '\n';
    } else if (!is_control(c) || c == '\n' || c == '\t') {
      text += c;
    }
  }
  return text;
}

}  // namespace

Key KeyParser::take(std::size_t bytes, KeyKind kind) {
  bytes_.erase(0, bytes);
  return {kind};
}

std::optional<Key> KeyParser::next() {
  if (pasting_) return paste();
  if (bytes_.empty()) return std::nullopt;
  const char first = bytes_.front();
  if (first == kEscape) return escape();
  if (first == '\t' || !is_control(first)) return text();
  return take(1, control_key(first));
}

std::optional<Key> KeyParser::escape() {
  if (bytes_.size() == 1) return std::nullopt;
  if (bytes_[1] == '[' || bytes_[1] == 'O') return control_sequence(2);
  // An escape before another: the first was a key of its own.
  if (bytes_[1] == kEscape) return take(1, KeyKind::kIgnored);
  return take(2, alt_key(bytes_[1]));
}

std::optional<Key> KeyParser::control_sequence(std::size_t begin) {
  const auto is_last = [](char c) { return c >= '@' && c <= '~'; };
  const auto last = std::find_if(bytes_.begin() + static_cast<std::ptrdiff_t>(begin), bytes_.end(), is_last);
  const auto size = static_cast<std::size_t>(last - bytes_.begin()) + 1;
  if (last == bytes_.end()) {
    if (bytes_.size() < kLongestSequence) return std::nullopt;
    return take(1, KeyKind::kIgnored);
  }
  const std::string parameters = bytes_.substr(begin, size - begin - 1);
  if (*last == '~' && parameters == "200") {
    bytes_.erase(0, size);
    pasting_ = true;
    searched_ = 0;
    return paste();
  }
  return take(size, sequence_key(parameters, *last));
}

std::optional<Key> KeyParser::paste() {
  const std::size_t end = bytes_.find(kPasteEnd, searched_);
  if (end == std::string::npos) {
    searched_ = bytes_.size() - std::min(bytes_.size(), kPasteEnd.size() - 1);
    return std::nullopt;
  }
  Key key{KeyKind::kText, pasted(std::string_view(bytes_).substr(0, end))};
  bytes_.erase(0, end + kPasteEnd.size());
  pasting_ = false;
  return key;
}

// All characters up to the next control character; one that is not there as a whole waits.
std::optional<Key> KeyParser::text() {
  constexpr std::size_t kMostBytes = 4;  // of a character
  std::size_t size = 0;
  while (size < bytes_.size() && (bytes_[size] == '\t' || !is_control(bytes_[size]))) {
    const std::string_view rest = std::string_view(bytes_).substr(size);
    const CodePoint point = first_code_point(rest);
    const bool may_go_on = static_cast<unsigned char>(rest.front()) >= 0xC2 && rest.size() < kMostBytes;
    if (!point.valid && may_go_on &&
        std::all_of(rest.begin() + 1, rest.end(), [](char c) { return (c & 0xC0) == 0x80; })) {
      break;
    }
    size += point.bytes;
  }
  if (size == 0) return std::nullopt;
  Key key{KeyKind::kText, bytes_.substr(0, size)};
  bytes_.erase(0, size);
  return key;
}

void KeyParser::give_up() {
  if (pasting_ || bytes_.empty()) return;
  // An escape is dropped; a character that was cut off becomes text of broken bytes.
  if (bytes_.front() == kEscape) bytes_.erase(0, 1);
}

}  // namespace tca::cli
