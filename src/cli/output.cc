#include "cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "cli/signals.h"
#include "cli/terminal.h"

namespace tca::cli {

void write_output(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE) throw ReaderGone();
    if (written <= 0) {
      throw Error(ErrorCategory::kIo, fmt::format("cannot write to standard output: {}", std::strerror(errno)));
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void write_json(const Json& object) {
  write_output(object.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n");
}

std::string json_line(const Json& object) {
  return object.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

void write_note(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void report_error(const std::string& category, const std::string& message, bool json) {
  const Style style = style_of(STDERR_FILENO);
  write_note(style.bad("tca: error:") + " " + one_line(message) + "\n");
  if (json) write_json({{"error", {{"category", category}, {"message", message}}}});
}

void warn(const std::string& message) {
  const Style style = style_of(STDERR_FILENO);
  write_note(style.accent("tca: warning:") + " " + one_line(message) + "\n");
}

void note(const std::string& message) {
  const Style style = style_of(STDERR_FILENO);
  write_note(style.dim("tca: note:") + " " + one_line(message) + "\n");
}

std::string category_name(ErrorCategory category) {
  switch (category) {
    case ErrorCategory::kInvalidArgument:
      return "invalid_argument";
    case ErrorCategory::kUnsupported:
      return "unsupported";
    case ErrorCategory::kBadFile:
      return "bad_file";
    case ErrorCategory::kIo:
      return "io";
    case ErrorCategory::kOutOfBudget:
      return "out_of_budget";
    case ErrorCategory::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

Failure current_failure() {
  try {
    throw;
  } catch (const UsageError& error) {
    return {"usage", error.what(), 2};
  } catch (const Error& error) {
    const bool stopped = error.category() == ErrorCategory::kCancelled && stop_requested();
    return {category_name(error.category()), stopped ? "interrupted" : error.what(), stopped ? stop_exit_code() : 1};
  } catch (const std::bad_alloc&) {
    return {"out_of_memory", "out of memory"};
  } catch (const std::exception& error) {
    return {"internal", error.what()};
  }
}

}  // namespace tca::cli
