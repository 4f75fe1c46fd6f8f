// Messages written on a terminal: a line editor with history, for pastes of any length and several lines.
#pragma once

#include <string>

#include "cli/edit_buffer.h"
#include "cli/edit_view.h"
#include "cli/keys.h"
#include "cli/line_reader.h"
#include "cli/raw_terminal.h"

namespace tca::cli {

/// Standard input is a terminal. Enter sends, Alt-Enter begins a line, a paste is one message. Between messages the
/// terminal stays as RawTerminal keeps it, so that what is typed meanwhile is not lost.
class MessageEditor : public MessageReader {
 public:
  /// prompt: as it is shown, prompt_columns wide. history_file: empty keeps the history in memory alone.
  MessageEditor(std::string prompt, std::size_t prompt_columns, std::string history_file);
  Outcome next(std::string& message) override;

 private:
  enum class Step { kGoOn, kSend, kEnd, kInterrupted };
  Step take(const Key& key);
  void move_or_kill(KeyKind kind);
  void move_row(bool down);
  void draw();
  Outcome finish(Outcome outcome, std::string& message);

  const bool simple_;  // a terminal without a cursor to move: one that only writes on
  RawTerminal terminal_;
  KeyParser keys_;
  EditView view_;
  EditBuffer buffer_;
  History history_;
  bool ended_ = false;
};

}  // namespace tca::cli
