// tca: parses the command line, runs one job, turns what went wrong into one line and an exit code.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>

#include "cli/commands.h"
#include "cli/device.h"
#include "cli/help_format.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/suggest.h"
#include "runtime/model/precision.h"
#include "tca/backend.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

constexpr int kSuccess = 0, kUsage = 2;

std::string version_text() {
  ThreadPool pool(1);
  const std::string isa = create_backend("cpu", pool)->capabilities().isa;
  const std::string gpu = gpu_description();
  const runtime::Precision precision =
      runtime::choose_precision(runtime::ComputeType::kAuto, runtime::has_bf16_products());
  return fmt::format("tca {}\nbackends: {} (cpu: {})\ncpu: blocks of rows by {}, rows by {}, keys and values in {}{}",
                     TCA_VERSION, fmt::join(available_backends(), ", "), isa,
                     runtime::block_products_name(precision.activations), runtime::row_products_name(),
                     dtype_name(precision.kv), gpu.empty() ? "" : "\ngpu: " + gpu);
}

void add_commands(CLI::App& app, Job& job) {
  app.require_subcommand(1);
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("-V,--version", version_text, "Version, backends and instruction set");
  app.footer("`tca help COMMAND` lists a command's options. Without --model, lookback-28m is used.");
  add_run_command(app, job);
  add_chat_command(app, job);
  add_calibrate_command(app, job);
  add_inspect_command(app, job);
  add_eval_command(app, job);
  add_report_command(app, job);
  add_demo_command(app, job);
  add_bench_command(app, job);
  add_tokenize_command(app, job);
  add_help_command(app, job);
  add_completion_command(app, job);
}

// What is wrong with the command line. Words that nobody takes come first: CLI11 may miss a command because of one.
std::string usage_message(CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  std::optional<CommandReference> command;
  if (!chosen.empty()) command = command_reference(*chosen.front());
  std::string what = error.what();
  const bool refused = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr || chosen.empty();
  if (refused) {
    const std::string unknown =
        unknown_word_message(app.remaining(/*recurse=*/true), reference_of(app), command ? &*command : nullptr);
    if (!unknown.empty()) what = unknown;
  }
  return fmt::format("{} (see tca{} --help)", what, command ? " " + command->name : "");
}

// The command line, or an exit code when there is nothing to run.
int parse(CLI::App& app, int argc, char** argv, bool json) {
  try {
    app.parse(argc, argv);
    return kSuccess;
  } catch (const CLI::Success& wish) {
    // --help and --version: CLI11 writes what they ask for.
    std::ostringstream text;
    app.exit(wish, text, text);
    write_output(text.str());
    return -1;
  } catch (const CLI::ParseError& error) {
    report_error("usage", usage_message(app, error), json);
    return kUsage;
  }
}

int run(int argc, char** argv, bool json) {
  CLI::App app("Long-context LLM inference that reads only what matters.", "tca");
  Job job;
  add_commands(app, job);
  const int code = parse(app, argc, argv, json);
  if (code != kSuccess) return std::max(code, kSuccess);
  const bool chat = app.got_subcommand("chat");
  install_signal_handlers(chat ? StopPolicy::kTurn : StopPolicy::kProgram, json);
  return job();
}

// Every way a job can end, as an exit code.
int guarded_run(int argc, char** argv, bool json) {
  try {
    return run(argc, argv, json);
  } catch (const ReaderGone&) {
    return kSuccess;
  } catch (const std::exception&) {
    const Failure failure = current_failure();
    report_error(failure.category, failure.message, json);
    return failure.exit_code;
  }
}

}  // namespace
}  // namespace tca::cli

int main(int argc, char** argv) {
  using tca::cli::guarded_run;
  tca::cli::claim_standard_descriptors();
  const bool json = std::any_of(argv, argv + argc, [](const char* text) { return std::string_view(text) == "--json"; });
  try {
    return guarded_run(argc, argv, json);
  } catch (const std::exception&) {
    // Not even the error object could be written.
    return 1;
  }
}
