#include "cli/eval_args.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/keep.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/target_file.h"
#include "core/file.h"

namespace tca::cli {

std::vector<evaluation::MethodFor> make_methods(const EvalArgs& args, const LoadedModel& loaded) {
  const runtime::SessionOptions base = session_options(args.attention, loaded);
  std::vector<evaluation::MethodFor> methods;
  for (const std::string& form : args.methods) {
    methods.push_back([form, base, &loaded](std::int64_t context_tokens) {
      return evaluation::parse_method(form, base, loaded.model->fingerprint(), context_tokens);
    });
    // A form that is none is refused here, whatever the length; what is noted does not depend on it.
    const runtime::SessionOptions options = methods.back()(/*context_tokens=*/1).options;
    // So is what its sessions do not do on this device, before others have read for hours.
    const runtime::Session session(loaded.model, *loaded.backend, *loaded.pool, options);
    if (options.profile == nullptr || options.profile != base.profile) continue;
    const std::string text =
        nearest_budget_note(*options.profile, options.keep, options.objective, fmt::format("--methods {}", form));
    if (!text.empty()) note(text);
  }
  return methods;
}

void check_answers_file(const EvalArgs& args) {
  if (args.answers.empty()) return;
  std::error_code error;
  if (std::filesystem::exists(args.answers, error) && !args.force) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("--answers {} exists; --force replaces it, or choose another name", args.answers));
  }
  check_writable(args.answers, "--answers");
}

void write_answers(const EvalArgs& args, const std::string& lines) {
  if (args.answers.empty()) return;
  const WritingGuard guard;
  write_file_atomically(args.answers, lines);
}

}  // namespace tca::cli
