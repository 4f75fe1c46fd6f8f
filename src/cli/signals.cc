#include "cli/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string_view>

#include "cli/raw_terminal.h"
#include "cli/terminal.h"

namespace tca::cli {

namespace {

// Handlers touch nothing else. Lock-free atomics are async-signal-safe.
std::atomic<int> g_stop_signal{0};
std::atomic<bool> g_deadline{false};  // StopPolicy::kProgram
std::atomic<bool> g_json{false};
std::atomic<bool> g_terminal{false};
std::atomic<int> g_writers{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

constexpr unsigned kGraceSeconds = 1;
constexpr std::string_view kJsonError =
    "{\n  \"error\": {\n    \"category\": \"cancelled\",\n    \"message\": \"interrupted\"\n  }\n}\n";
// Takes a progress bar away, which only stands on a terminal.
constexpr std::string_view kTerminalError = "\r\x1b[Ktca: error: interrupted\n";
constexpr std::string_view kPlainError = "tca: error: interrupted\n";

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// The second of a kind kills.
extern "C" void on_stop(int number) {
  if (g_stop_signal.exchange(number) == number) {
    restore_terminal();
    signal(number, SIG_DFL);
    raise(number);
  }
  if (g_deadline) alarm(kGraceSeconds);
}

extern "C" void on_deadline(int) {
  if (g_writers > 0) {
    alarm(kGraceSeconds);
    return;
  }
  if (g_json) write_all(STDOUT_FILENO, kJsonError);
  restore_terminal();
  write_all(STDERR_FILENO, g_terminal ? kTerminalError : kPlainError);
  _exit(128 + g_stop_signal);
}

void arm() {
  struct sigaction action {};
  action.sa_handler = on_stop;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  if (g_deadline) sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

void claim_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) != -1) continue;
    // The lowest free descriptor is this one. Opened the wrong way round: reading and writing go on failing.
    const int flags = descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (open("/dev/null", flags) != descriptor) _exit(1);
  }
}

void install_signal_handlers(StopPolicy policy, bool json) {
  g_deadline = policy == StopPolicy::kProgram;
  g_json = json;
  g_terminal = can_move_cursor(STDERR_FILENO);
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
  sigaction(SIGXFSZ, &action, nullptr);  // a file size limit is a write error, too
  action.sa_handler = on_deadline;
  sigaction(SIGALRM, &action, nullptr);
  arm();
}

bool stop_requested() { return g_stop_signal != 0; }

void clear_stop_request() {
  g_stop_signal = 0;
  arm();
}

int stop_exit_code() { return 128 + g_stop_signal; }

WritingGuard::WritingGuard() { ++g_writers; }
WritingGuard::~WritingGuard() { --g_writers; }

}  // namespace tca::cli
