#include "cli/raw_terminal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "tca/error.h"

namespace tca::cli {

namespace {

// What handlers need. Written while no handler reads it: before g_active is set, and after it is cleared.
termios g_original;
termios g_typing;
termios g_working;
std::atomic<bool> g_active{false};
std::atomic<bool> g_bracketed{false};
std::atomic<bool> g_applied{false};  // ours, not yet given back
std::atomic<bool> g_typing_now{false};
std::atomic<bool> g_redraw{false};
std::atomic<int> g_output{-1};

constexpr std::string_view kBracketsOn = "\x1b[?2004h", kBracketsOff = "\x1b[?2004l";
constexpr int kEnding[] = {SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

void write_all(std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(g_output, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// The settings belong to whoever is in the foreground; from the background they are left alone. A terminal that is not
// the process's own knows no foreground.
bool in_foreground() noexcept {
  const pid_t group = ::tcgetpgrp(STDIN_FILENO);
  return group < 0 || group == ::getpgrp();
}

void apply() noexcept {
  if (!g_active || !in_foreground()) return;
  ::tcsetattr(STDIN_FILENO, TCSANOW, g_typing_now ? &g_typing : &g_working);
  if (!g_applied.exchange(true) && g_bracketed) write_all(kBracketsOn);
}

void set_handler(int signal, void (*handler)(int)) noexcept {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

// What the parent made us ignore stays ignored.
void install(int signal, void (*handler)(int)) noexcept {
  struct sigaction before {};
  ::sigaction(signal, nullptr, &before);
  if (before.sa_handler != SIG_IGN) set_handler(signal, handler);
}

// Once more, and nothing in the way of it.
void raise_as_usual(int signal) noexcept {
  set_handler(signal, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::raise(signal);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

extern "C" void on_ending(int signal) {
  restore_terminal();
  raise_as_usual(signal);
}

extern "C" void on_stopping(int signal) {
  const int error = errno;
  restore_terminal();
  raise_as_usual(signal);  // stops here
  set_handler(signal, on_stopping);
  apply();
  g_redraw = true;
  errno = error;
}

// After a stop that could not be noticed (SIGSTOP), too.
extern "C" void on_going_on(int) {
  const int error = errno;
  apply();
  g_redraw = true;
  errno = error;
}

extern "C" void on_resize(int) { g_redraw = true; }

termios without(const termios& original, bool signals) {
  termios raw = original;
  raw.c_iflag &= ~static_cast<tcflag_t>(ICRNL | INLCR | IGNCR | IXON | ISTRIP);
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
  if (!signals) raw.c_lflag &= ~static_cast<tcflag_t>(ISIG);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  return raw;
}

}  // namespace

void restore_terminal() noexcept {
  if (!g_active || !in_foreground()) return;
  if (g_applied.exchange(false) && g_bracketed) write_all(kBracketsOff);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &g_original);
}

RawTerminal::RawTerminal(bool bracketed) {
  char name[256];
  const bool named = ::ttyname_r(STDIN_FILENO, name, sizeof(name)) == 0;
  output_ = named ? ::open(name, O_WRONLY | O_NOCTTY | O_CLOEXEC) : -1;
  if (output_ < 0 || ::tcgetattr(STDIN_FILENO, &g_original) != 0) {
    const int error = errno;
    if (output_ >= 0) ::close(output_);
    throw Error(ErrorCategory::kIo, fmt::format("cannot set the terminal: {}", std::strerror(error)));
  }
  g_typing = without(g_original, /*signals=*/false);
  g_working = without(g_original, /*signals=*/true);
  g_output = output_;
  g_bracketed = bracketed;
  g_typing_now = false;
  for (const int signal : kEnding) install(signal, on_ending);
  install(SIGTSTP, on_stopping);
  install(SIGCONT, on_going_on);
  install(SIGWINCH, on_resize);
  g_active = true;
  apply();
}

RawTerminal::~RawTerminal() {
  restore_terminal();
  g_active = false;
  for (const int signal : kEnding) install(signal, SIG_DFL);
  for (const int signal : {SIGTSTP, SIGCONT, SIGWINCH}) install(signal, SIG_DFL);
  ::close(output_);
}

void RawTerminal::set(Mode mode) {
  if (g_typing_now == (mode == Mode::kTyping)) return;
  g_typing_now = mode == Mode::kTyping;
  if (in_foreground()) ::tcsetattr(STDIN_FILENO, TCSANOW, g_typing_now ? &g_typing : &g_working);
}

void RawTerminal::write(const std::string& text) const { write_all(text); }

void RawTerminal::suspend() { ::raise(SIGTSTP); }

bool RawTerminal::take_redraw() { return g_redraw.exchange(false); }

}  // namespace tca::cli
