// Ctrl-C: the first asks the job to stop, the second kills. SIGPIPE and SIGXFSZ become errors of write().
#pragma once

namespace tca::cli {

enum class StopPolicy {
  kProgram,  // what does not stop by itself within a second is ended, unless a file is being written; SIGTERM too
  kTurn,     // the job decides what to stop and goes on (chat); SIGTERM ends it as it ends any program
};

/// Once, before anything else: descriptors 0 to 2 that the parent closed get a file behind them that fails, so that no
/// file of ours is opened in their place.
void claim_standard_descriptors();
/// json: a program ended by the deadline prints an error object on standard output.
void install_signal_handlers(StopPolicy policy, bool json);
bool stop_requested();
/// Forgets a request (chat, between turns) and makes the next Ctrl-C a first one again.
void clear_stop_request();
/// 128 + the signal's number: 130 for Ctrl-C.
int stop_exit_code();

/// While one lives, the deadline waits: what is written is written whole, or its temporary file is removed.
class WritingGuard {
 public:
  WritingGuard();
  ~WritingGuard();
  WritingGuard(const WritingGuard&) = delete;
  WritingGuard& operator=(const WritingGuard&) = delete;
};

}  // namespace tca::cli
