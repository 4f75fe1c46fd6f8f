// Lengths in tokens, asked for or by default, held against what the model goes up to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/loaded_model.h"
#include "tca/error.h"

namespace tca::cli {

/// The length of an option: what was asked for, else the usual one; cut where the model has not `room` tokens behind
/// it, which standard error says. Throws kInvalidArgument when more is asked for than the model goes up to, or when it
/// goes up to less than `least` and the room.
std::int64_t choose_length(const std::string& option, std::optional<std::int64_t> asked, std::int64_t usual,
                           std::int64_t least, std::int64_t room, const LoadedModel& loaded);

/// Throws kInvalidArgument when value is more tokens than the model goes up to. what: "--ctx 4096".
void check_length(const std::string& what, std::int64_t tokens, const LoadedModel& loaded);

/// Most tokens of a session whose every token may see all others: less than the model goes up to where its window
/// slides.
std::int64_t most_session_tokens(const LoadedModel& loaded);

/// Runs an action; what it refuses (kInvalidArgument) is refused with the options that decide about it in front.
template <class Action>
auto with_options(const std::string& options, const Action& action) {
  try {
    return action();
  } catch (const Error& error) {
    if (error.category() != ErrorCategory::kInvalidArgument) throw;
    throw Error(ErrorCategory::kInvalidArgument, options + ": " + error.what());
  }
}

}  // namespace tca::cli
