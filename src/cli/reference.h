// What the program's commands and options are, taken from the parser: the one source of help, completion and man page.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace tca::cli {

/// What completes a value.
enum class ValueKind { kNone, kFile, kFolder, kCommand, kChoice };

struct OptionReference {
  std::vector<std::string> names = {};    // "-m", "--model"; none of a positional argument
  std::string value = {};                 // "DIR", "N,..."; empty: a flag
  std::string help = {};                  // without its default
  std::string fallback = {};              // the default, where there is one to name
  std::string group = {};                 // "Options", "Model", ...
  std::vector<std::string> choices = {};  // of the value
  ValueKind kind = ValueKind::kNone;
  bool required = false;
  bool listed = false;  // several values with commas between them
};

struct CommandReference {
  std::string name = {};  // "run"; of the program "tca"
  std::string help = {};
  std::string footer = {};
  std::vector<OptionReference> arguments = {};  // positional
  std::vector<OptionReference> options = {};
};

struct ProgramReference {
  CommandReference program;
  std::vector<CommandReference> commands;
};

/// Accepts one of these words; help and completion know them. For several with commas between them, too.
CLI::Validator one_of(const std::vector<std::string>& choices);
/// Of a whole program, or of the program that a command belongs to.
ProgramReference reference_of(CLI::App& app);
CommandReference command_reference(CLI::App& command);
/// "Share of the tokens to keep (default: 0.2)"
std::string help_with_default(const OptionReference& option);

}  // namespace tca::cli
