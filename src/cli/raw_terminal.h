// A terminal that gives every key at once, and gets its own settings back on every way out of the program.
#pragma once

#include <string>

namespace tca::cli {

/// While one lives, standard input, a terminal, hands out bytes as they are typed, without showing them: long lines are
/// not cut, and what is typed while an answer is written is kept. Signals that end or stop the process restore its
/// settings first; when it goes on, they are set again.
class RawTerminal {
 public:
  enum class Mode {
    kTyping,  // Ctrl-C and Ctrl-Z are keys like others
    kWorking  // they are signals
  };
  /// bracketed: pastes are asked to come in brackets. Throws kIo when it is no terminal one can set.
  explicit RawTerminal(bool bracketed);
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  void set(Mode mode);
  /// To the terminal itself, wherever the standard streams go.
  void write(const std::string& text) const;
  /// Stops the process as Ctrl-Z does; comes back when it goes on.
  void suspend();
  /// Since it was asked last: whether the size changed, or the process was stopped and goes on.
  bool take_redraw();

 private:
  int output_ = -1;
};

/// For signal handlers: gives the terminal back as it was; nothing without a RawTerminal.
void restore_terminal() noexcept;

}  // namespace tca::cli
