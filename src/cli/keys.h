// What is typed on a terminal: bytes to keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tca::cli {

enum class KeyKind {
  kText,     // characters, or a whole paste
  kEnter,    // sends
  kNewLine,  // Alt-Enter: a line feed in the message
  kBackspace,
  kDelete,
  kLeft,
  kRight,
  kUp,
  kDown,
  kWordLeft,
  kWordRight,
  kHome,
  kEnd,
  kHistoryBack,  // Ctrl-P
  kHistoryForth,
  kKillToEnd,
  kKillToBegin,
  kKillWord,
  kKillWordForth,
  kYank,
  kClearScreen,
  kInterrupt,  // Ctrl-C
  kEndOfFile,  // Ctrl-D
  kSuspend,    // Ctrl-Z
  kIgnored,
};

struct Key {
  KeyKind kind = KeyKind::kIgnored;
  std::string text = {};  // kText
};

/// Takes sequences apart as xterm and its relatives send them, bracketed pastes among them. Of a paste line ends become
/// line feeds, and control characters but tabs are left out.
class KeyParser {
 public:
  void feed(std::string_view bytes) { bytes_ += bytes; }
  /// The next key that is there as a whole.
  std::optional<Key> next();
  /// Whether the beginning of a key waits for its rest.
  bool waits() const { return !bytes_.empty(); }
  /// No rest will come: what waits is taken as it is (a lone escape is nothing).
  void give_up();
  std::size_t pending_bytes() const { return bytes_.size(); }

 private:
  std::optional<Key> escape();
  std::optional<Key> control_sequence(std::size_t begin);
  std::optional<Key> paste();
  std::optional<Key> text();
  Key take(std::size_t bytes, KeyKind kind);

  std::string bytes_;
  bool pasting_ = false;
  std::size_t searched_ = 0;  // of a paste that goes on: no end before this
};

}  // namespace tca::cli
