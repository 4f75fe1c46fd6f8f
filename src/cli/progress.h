// A progress bar on standard error: on a terminal only, and gone when the job is done.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "cli/terminal.h"
#include "runtime/engine/session.h"

namespace tca::cli {

/// One line of at most `width` columns: label, bar, percent, time left (once a tenth of a second has passed and at
/// least one unit is done).
std::string progress_line(const std::string& label, std::int64_t done, std::int64_t total, double elapsed_seconds,
                          std::size_t width, const Glyphs& glyphs = Glyphs());

class ProgressBar {
 public:
  /// enabled: shown where standard error is a terminal that can take it back.
  explicit ProgressBar(std::string label, bool enabled = true);
  ~ProgressBar() { finish(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::int64_t done, std::int64_t total);
  /// The same bar for the next part of a job: another label, and its time counts from now.
  void restart(std::string label);
  /// Takes the bar off the screen.
  void finish();
  /// Shows progress, and asks the job to stop when the user did.
  runtime::Progress callback();

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  bool shown_;
  bool drawn_ = false;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point last_{};
};

/// session.read() under a bar of its own.
std::span<const float> read_with_bar(runtime::Session& session, std::span<const std::int32_t> ids,
                                     const std::string& label, bool enabled = true);

}  // namespace tca::cli
