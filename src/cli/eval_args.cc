#include "cli/eval_args.h"

#include <fmt/format.h>

#include <utility>

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

void check_files_to_write(const EvalArgs& args) {
  for (const auto& [option, path] :
       {std::pair{"--answers", args.answers}, std::pair{"--save-documents", args.saved_documents}}) {
    if (path.empty()) continue;
    check_not_there(path, option, args.force);
    check_writable(path, option);
  }
}

void write_lines(const std::string& path, const std::string& lines) {
  if (path.empty()) return;
  const WritingGuard guard;
  write_file_atomically(path, lines);
}

}  // namespace tca::cli
