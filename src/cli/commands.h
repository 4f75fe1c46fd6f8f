// The commands of the program: each in a file of its own.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace tca::cli {

/// Set by the command the user chose once the command line was read; returns the exit code.
using Job = std::function<int()>;

void add_run_command(CLI::App& app, Job& job);
void add_chat_command(CLI::App& app, Job& job);
void add_calibrate_command(CLI::App& app, Job& job);
void add_inspect_command(CLI::App& app, Job& job);
void add_eval_command(CLI::App& app, Job& job);
void add_report_command(CLI::App& app, Job& job);
void add_demo_command(CLI::App& app, Job& job);
void add_tokenize_command(CLI::App& app, Job& job);
void add_bench_command(CLI::App& app, Job& job);
void add_help_command(CLI::App& app, Job& job);
void add_completion_command(CLI::App& app, Job& job);

/// Adds a command whose arguments live as long as its job: add_options(command, args) declares them, run(args) is the
/// job.
template <class Args>
CLI::App& add_command(CLI::App& app, Job& job, const char* name, const char* help,
                      void (*add_options)(CLI::App&, Args&), int (*run)(const Args&)) {
  auto args = std::make_shared<Args>();
  CLI::App* command = app.add_subcommand(name, help)->group("Commands");
  add_options(*command, *args);
  command->callback([&job, args, run] { job = [args, run] { return run(*args); }; });
  return *command;
}

}  // namespace tca::cli
