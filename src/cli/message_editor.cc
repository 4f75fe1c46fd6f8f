#include "cli/message_editor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "cli/terminal.h"
#include "tca/error.h"

namespace tca::cli {

namespace {

ScreenSize screen_size() { return {terminal_width(STDIN_FILENO), terminal_height(STDIN_FILENO)}; }

}  // namespace

MessageEditor::MessageEditor(std::string prompt, std::size_t prompt_columns, std::string history_file)
    : simple_(!can_move_cursor(STDIN_FILENO)),
      terminal_(/*bracketed=*/!simple_),
      view_(std::move(prompt), prompt_columns, simple_),
      history_(std::move(history_file)) {}

void MessageEditor::draw() { terminal_.write(view_.draw(buffer_.text(), buffer_.cursor(), screen_size())); }

// One row up or down in what is written; at its edge, to another message of the history.
void MessageEditor::move_row(bool down) {
  const std::size_t prompt_columns = view_.prompt_columns();
  const TextLayout layout(buffer_.text(), prompt_columns, screen_size().columns);
  const TextLayout::Place place = layout.place_of(buffer_.cursor());
  const bool inside = !simple_ && (down ? place.row + 1 < layout.num_rows() : place.row > 0);
  if (inside) {
    buffer_.move_to(layout.position_at(down ? place.row + 1 : place.row - 1, place.column));
    return;
  }
  std::string other;
  if (down ? history_.forth(other) : history_.back(buffer_.text(), other)) buffer_.set(std::move(other));
}

MessageEditor::Step MessageEditor::take(const Key& key) {
  const bool at_end_only = simple_;  // what moves the cursor or leaves it inside is for others
  switch (key.kind) {
    case KeyKind::kText:
      buffer_.insert(key.text);
      break;
    case KeyKind::kEnter:
      return Step::kSend;
    case KeyKind::kNewLine:
      buffer_.insert("\n");
      break;
    case KeyKind::kBackspace:
      buffer_.erase_before();
      break;
    case KeyKind::kEndOfFile:
      if (buffer_.text().empty()) return Step::kEnd;
      if (!at_end_only) buffer_.erase_behind();
      break;
    case KeyKind::kInterrupt:
      return Step::kInterrupted;
    case KeyKind::kSuspend:
      terminal_.write(view_.finish(buffer_.text(), screen_size()));
      terminal_.suspend();
      break;
    case KeyKind::kUp:
      move_row(/*down=*/false);
      break;
    case KeyKind::kDown:
      move_row(/*down=*/true);
      break;
    case KeyKind::kKillToBegin:
      buffer_.kill_to_begin();
      break;
    case KeyKind::kKillWord:
      buffer_.kill_word();
      break;
    case KeyKind::kYank:
      buffer_.yank();
      break;
    default:
      if (!at_end_only) move_or_kill(key.kind);
  }
  return Step::kGoOn;
}

void MessageEditor::move_or_kill(KeyKind kind) {
  std::string other;
  switch (kind) {
    case KeyKind::kDelete:
      return buffer_.erase_behind();
    case KeyKind::kLeft:
      return buffer_.left();
    case KeyKind::kRight:
      return buffer_.right();
    case KeyKind::kWordLeft:
      return buffer_.word_left();
    case KeyKind::kWordRight:
      return buffer_.word_right();
    case KeyKind::kHome:
      return buffer_.home();
    case KeyKind::kEnd:
      return buffer_.end();
    case KeyKind::kKillToEnd:
      return buffer_.kill_to_end();
    case KeyKind::kKillWordForth:
      return buffer_.kill_word_forth();
    case KeyKind::kHistoryBack:
      if (history_.back(buffer_.text(), other)) buffer_.set(std::move(other));
      return;
    case KeyKind::kHistoryForth:
      if (history_.forth(other)) buffer_.set(std::move(other));
      return;
    case KeyKind::kClearScreen:
      view_.forget();
      terminal_.write("\x1b[H\x1b[2J");
      return;
    default:
      return;
  }
}

MessageReader::Outcome MessageEditor::finish(Outcome outcome, std::string& message) {
  // An interrupted message stays on the screen, an empty line is begun by who tells about it.
  if (outcome == Outcome::kMessage) {
    terminal_.write(view_.finish(buffer_.text(), screen_size()));
    message = buffer_.text();
    if (message.find_first_not_of(" \n\t") != std::string::npos) history_.add(message);
  }
  view_.forget();
  buffer_.set("");
  terminal_.set(RawTerminal::Mode::kWorking);
  return outcome;
}

MessageReader::Outcome MessageEditor::next(std::string& message) {
  if (ended_) return Outcome::kEnd;
  terminal_.set(RawTerminal::Mode::kTyping);
  history_.begin_message();
  (void)terminal_.take_redraw();
  draw();
  for (;;) {
    bool changed = terminal_.take_redraw();
    while (const std::optional<Key> key = keys_.next()) {
      changed = true;
      switch (take(*key)) {
        case Step::kGoOn:
          break;
        case Step::kSend:
          return finish(Outcome::kMessage, message);
        case Step::kEnd:
          return finish(Outcome::kEnd, message);
        case Step::kInterrupted:
          // As the terminal would have sent it: a second one kills.
          terminal_.set(RawTerminal::Mode::kWorking);
          std::raise(SIGINT);
          break;
      }
    }
    if (changed) draw();
    if (buffer_.text().size() + keys_.pending_bytes() > kMaxMessageBytes) {
      throw Error(ErrorCategory::kBadFile, fmt::format("a message is longer than {} MiB", kMaxMessageBytes >> 20));
    }
    std::string bytes;
    switch (read_some(bytes)) {
      case Input::kInterrupted:
        return finish(Outcome::kInterrupted, message);
      case Input::kEnd:
        ended_ = true;
        return finish(buffer_.text().empty() ? Outcome::kEnd : Outcome::kMessage, message);
      case Input::kNone:
        keys_.give_up();
        break;
      case Input::kSome:
        keys_.feed(bytes);
        break;
    }
  }
}

}  // namespace tca::cli
