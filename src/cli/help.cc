// tca help and tca completion: what the parser knows, for people, shells and man.
#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/help_format.h"
#include "cli/man_page.h"
#include "cli/output.h"
#include "cli/suggest.h"
#include "cli/terminal.h"

namespace tca::cli {
namespace {

struct HelpArgs {
  CLI::App* program = nullptr;
  std::string command;
};

struct CompletionArgs {
  CLI::App* program = nullptr;
  std::string shell;
};

int run_help(const HelpArgs& args) {
  const ProgramReference program = reference_of(*args.program);
  const std::size_t width = output_width(STDOUT_FILENO);
  if (args.command.empty()) {
    write_output(program_help(program, width));
    return 0;
  }
  for (const CommandReference& command : program.commands) {
    if (command.name != args.command) continue;
    write_output(command_help(command, width));
    return 0;
  }
  throw UsageError(unknown_word_message({args.command}, program, nullptr) + " (see tca --help)");
}

int run_completion(const CompletionArgs& args) {
  const ProgramReference program = reference_of(*args.program);
  if (args.shell == "bash") write_output(bash_completion(program));
  if (args.shell == "zsh") write_output(zsh_completion(program));
  if (args.shell == "fish") write_output(fish_completion(program));
  if (args.shell == "man") write_output(man_page(program));
  return 0;
}

}  // namespace

void add_help_command(CLI::App& app, Job& job) {
  add_command<HelpArgs>(
      app, job, "help", "Show the options of a command",
      [](CLI::App& command, HelpArgs& args) {
        args.program = command.get_parent();
        command.add_option("COMMAND", args.command, "A command (default: an overview)");
      },
      run_help);
}

void add_completion_command(CLI::App& app, Job& job) {
  add_command<CompletionArgs>(
      app, job, "completion", "Write a shell's completion, or the manual page",
      [](CLI::App& command, CompletionArgs& args) {
        args.program = command.get_parent();
        command.add_option("SHELL", args.shell, "bash, zsh, fish; man is the manual page")
            ->required()
            ->check(one_of({"bash", "zsh", "fish", "man"}));
      },
      run_completion)
      .footer(
          "Installed with the program; by hand:\n"
          "  source <(tca completion bash)\n"
          "  tca completion fish > ~/.config/fish/completions/tca.fish");
}

}  // namespace tca::cli
