#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/format.h"
#include "cli/signals.h"
#include "cli/terminal.h"

namespace tca::cli {

namespace {

constexpr std::size_t kBarColumns = 28;
constexpr std::size_t kNarrowestBar = 6;
constexpr auto kRedraw = std::chrono::milliseconds(100);
// What is done sooner needs no bar.
constexpr auto kPatience = std::chrono::milliseconds(300);

std::string bar(double share, std::size_t columns, const Glyphs& glyphs) {
  const auto full = std::min(columns, static_cast<std::size_t>(share * static_cast<double>(columns) + 0.5));
  std::string text;
  for (std::size_t i = 0; i < columns; ++i) text += i < full ? glyphs.bar : glyphs.groove;
  return text;
}

// Whole seconds: more would flicker.
std::string time_left(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::clamp(std::ceil(seconds), 1.0, 1e9));
  return whole < 100 ? fmt::format("{} s left", whole) : fmt::format("{} min {:02} s left", whole / 60, whole % 60);
}

}  // namespace

std::string progress_line(const std::string& label, std::int64_t done, std::int64_t total, double elapsed_seconds,
                          std::size_t width, const Glyphs& glyphs) {
  const double share = total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 0.0;
  std::string tail = fmt::format("{:3.0f} %", share * 100);
  if (share > 0 && elapsed_seconds >= 0.1) {
    const double left = elapsed_seconds * (1 - share) / share;
    tail += "  " + time_left(left);
  }
  const std::size_t fixed = display_width(label) + display_width(tail) + 4;
  if (fixed + kNarrowestBar > width) return clip(label + "  " + tail, width, glyphs.ellipsis);
  return label + "  " + bar(share, std::min(kBarColumns, width - fixed), glyphs) + "  " + tail;
}

ProgressBar::ProgressBar(std::string label, bool enabled)
    : label_(std::move(label)), shown_(enabled && can_move_cursor(STDERR_FILENO)) {}

void ProgressBar::update(std::int64_t done, std::int64_t total) {
  const Clock::time_point now = Clock::now();
  if (!shown_ || now - last_ < kRedraw || (!drawn_ && now - begin_ < kPatience)) return;
  last_ = now;
  drawn_ = true;
  const double elapsed = std::chrono::duration<double>(now - begin_).count();
  // One column stays free: some terminals wrap when the last one is written.
  const std::size_t width = terminal_width(STDERR_FILENO) - 1;
  fmt::print(stderr, "\r\x1b[K{}", progress_line(label_, done, total, elapsed, width, glyphs()));
  std::fflush(stderr);
}

void ProgressBar::restart(std::string label) {
  label_ = std::move(label);
  begin_ = Clock::now();
}

void ProgressBar::finish() {
  if (!drawn_) return;
  drawn_ = false;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
}

runtime::Progress ProgressBar::callback() {
  return [this](std::int64_t done, std::int64_t total) {
    update(done, total);
    return !stop_requested();
  };
}

std::span<const float> read_with_bar(runtime::Session& session, std::span<const std::int32_t> ids,
                                     const std::string& label, bool enabled) {
  ProgressBar bar(label, enabled);
  runtime::ReadOptions options;
  options.progress = bar.callback();
  return session.read(ids, options);
}

}  // namespace tca::cli
