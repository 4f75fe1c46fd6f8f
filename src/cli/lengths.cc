#include "cli/lengths.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/format.h"
#include "cli/output.h"

namespace tca::cli {

void check_length(const std::string& what, std::int64_t tokens, const LoadedModel& loaded) {
  const std::int64_t longest = loaded.model->config().max_position;
  if (tokens <= longest) return;
  throw Error(ErrorCategory::kInvalidArgument,
              fmt::format("{} is more than the {} tokens the model was made for", what, longest));
}

std::int64_t choose_length(const std::string& option, std::optional<std::int64_t> asked, std::int64_t usual,
                           std::int64_t least, std::int64_t room, const LoadedModel& loaded) {
  const std::int64_t wanted = asked.value_or(usual), longest = loaded.model->config().max_position;
  if (asked) check_length(fmt::format("{} {}", option, *asked), *asked, loaded);
  const std::int64_t length = std::min(wanted, longest - room);
  if (length < least && length < wanted) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("{}: the model goes up to {} tokens, {} are needed at least", option, format_count(longest),
                            format_count(least + room)));
  }
  if (length < wanted) {
    const std::string behind = room > 0 ? fmt::format(", {} of them for what follows", format_count(room)) : "";
    note(fmt::format("{} is {} instead of {}: the model goes up to {} tokens{}", option, format_count(length),
                     format_count(wanted), format_count(longest), behind));
  }
  return length;
}

std::int64_t most_session_tokens(const LoadedModel& loaded) { return loaded.model->longest_context(); }

}  // namespace tca::cli
