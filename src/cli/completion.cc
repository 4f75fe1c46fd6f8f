#include "cli/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace tca::cli {

namespace {

std::vector<std::string> command_names(const ProgramReference& program) {
  std::vector<std::string> names;
  for (const CommandReference& command : program.commands) names.push_back(command.name);
  return names;
}

std::vector<std::string> option_names(const CommandReference& command) {
  std::vector<std::string> names;
  for (const OptionReference& option : command.options) {
    names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

// Text with a backslash before each of some characters.
std::string escaped(std::string_view text, std::string_view which) {
  std::string out;
  for (const char c : text) {
    if (which.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// Inside of single quotes, as sh and zsh read them.
std::string in_quotes(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return "'" + out + "'";
}

// What completes a value in one of the shells. {0} is the words that there are, {1} the value's name.
struct Actions {
  const char *file, *folder, *words, *list, *nothing;
};

std::string action(const OptionReference& option, const ProgramReference& program, const Actions& shell) {
  switch (option.kind) {
    case ValueKind::kFile:
      return shell.file;
    case ValueKind::kFolder:
      return shell.folder;
    case ValueKind::kCommand:
      return fmt::format(fmt::runtime(shell.words), fmt::join(command_names(program), " "), "");
    case ValueKind::kChoice:
      return fmt::format(fmt::runtime(option.listed ? shell.list : shell.words), fmt::join(option.choices, " "),
                         escaped(option.value, ":,."));
    case ValueKind::kNone:
      break;
  }
  return shell.nothing;
}

// ---- bash

// Calls of the script's functions; nothing completes free text.
constexpr Actions kBashActions = {"_tca_files -f", "_tca_files -d", "_tca_words '{0}'", "_tca_list '{0}'", ":"};

// The values of one command's options, and what it takes beside them.
std::string bash_command(const CommandReference& command, const ProgramReference& program) {
  std::string text = fmt::format("    {})\n      case $previous in\n", command.name);
  bool takes_files = false;
  for (const OptionReference& option : command.options) {
    if (option.value.empty()) continue;
    text +=
        fmt::format("        {}) {}; return ;;\n", fmt::join(option.names, "|"), action(option, program, kBashActions));
    takes_files = takes_files || option.value == "FILE...";
  }
  text += "      esac\n      options='" + fmt::format("{}", fmt::join(option_names(command), " ")) + "'\n";
  std::string argument = takes_files ? "_tca_files -f" : ":";
  if (!command.arguments.empty()) argument = action(command.arguments.front(), program, kBashActions);
  return text + fmt::format("      _tca_argument() {{ {}; }}\n      ;;\n", argument);
}

constexpr char kBashBegin[] = R"(# bash completion for tca; made by `tca completion bash`
_tca_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current"); }
_tca_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen "$1" -- "$current"); }
# Words with commas between them: the last one is completed.
_tca_list() {
  local before=""
  if [[ $current == *,* ]]; then before=${current%,*},; fi
  compopt -o nospace 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -P "$before" -W "$1" -- "${current##*,}")
}
_tca() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command="" options i
  # bash makes three words of --option=value.
  if [[ $current == = ]]; then
    current=""
  elif [[ $previous == = ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then
      command=${COMP_WORDS[i]}
      break
    fi
  done
  COMPREPLY=()
  case $command in
)";
constexpr char kBashEnd[] = R"(    *) return ;;
  esac
  if [[ $current == -* ]]; then
    _tca_words "$options"
  else
    _tca_argument
    if ((${#COMPREPLY[@]} == 0)) && [[ -z $current ]]; then _tca_words "$options"; fi
  fi
}
complete -F _tca tca
)";

// ---- zsh

constexpr Actions kZshActions = {"_files", "_files -/", "({0})", "_values -s , {1} {0}", " "};

// '(-m --model)'{-m,--model}'[Directory ...]:DIR:_files -/'
std::string zsh_option(const OptionReference& option, const ProgramReference& program) {
  std::string spec = fmt::format("[{}]", escaped(option.help, "[]:"));
  if (!option.value.empty())
    spec += fmt::format(":{}:{}", escaped(option.value, ":"), action(option, program, kZshActions));
  const bool repeats = option.value == "FILE...";
  if (option.names.size() == 1) return in_quotes((repeats ? "*" : "") + option.names.front() + spec);
  const std::string names = fmt::format("{}", fmt::join(option.names, " "));
  return fmt::format("'{}'{{{}}}{}", repeats ? "*" : "(" + names + ")", fmt::join(option.names, ","), in_quotes(spec));
}

std::string zsh_arguments(const CommandReference& command, const ProgramReference& program) {
  std::string text = "_arguments";
  for (const OptionReference& option : command.options) text += " \\\n          " + zsh_option(option, program);
  for (const OptionReference& argument : command.arguments) {
    text +=
        " \\\n          " + in_quotes(fmt::format("1:{}:{}", argument.value, action(argument, program, kZshActions)));
  }
  return text;
}

// ---- fish

std::string fish_quoted(std::string_view text) { return "'" + escaped(text, "\\'") + "'"; }

constexpr Actions kFishActions = {" -r -F", " -x -a '(__fish_complete_directories)'", " -x -a '{0}'", " -x -a '{0}'",
                                  " -x"};

std::string fish_value(const OptionReference& option, const ProgramReference& program) {
  return option.value.empty() && option.kind == ValueKind::kNone ? "" : action(option, program, kFishActions);
}

std::string fish_option(const std::string& when, const OptionReference& option, const ProgramReference& program) {
  std::string line = fmt::format("complete -c tca -n {}", fish_quoted(when));
  for (const std::string& name : option.names) {
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  return line + fish_value(option, program) + " -d " + fish_quoted(option.help) + "\n";
}

}  // namespace

std::string bash_completion(const ProgramReference& program) {
  std::string text = kBashBegin;
  const std::vector<std::string> names = command_names(program);
  text += fmt::format("    '') _tca_words '{} {}'; return ;;\n", fmt::join(names, " "),
                      fmt::join(option_names(program.program), " "));
  for (const CommandReference& command : program.commands) text += bash_command(command, program);
  return text + kBashEnd;
}

std::string zsh_completion(const ProgramReference& program) {
  std::string text =
      "#compdef tca\n# made by `tca completion zsh`\n_tca() {\n  local state line\n  typeset -A opt_args\n";
  text += "  _arguments -C";
  for (const OptionReference& option : program.program.options) text += " \\\n    " + zsh_option(option, program);
  text += " \\\n    '1:command:->command' '*::argument:->argument'\n  case $state in\n    command)\n";
  text += "      local -a commands=(";
  for (const CommandReference& command : program.commands) {
    text += "\n        " + in_quotes(command.name + ":" + escaped(command.help, ":"));
  }
  text += ")\n      _describe command commands ;;\n    argument)\n      case $words[1] in\n";
  for (const CommandReference& command : program.commands) {
    text += fmt::format("        {}) {} ;;\n", command.name, zsh_arguments(command, program));
  }
  // Loaded by hand (source) it registers itself, from a folder of fpath it is the function's body.
  text +=
      "      esac ;;\n  esac\n}\nif [[ $funcstack[1] == _tca ]]; then\n  _tca \"$@\"\nelse\n  compdef _tca tca\nfi\n";
  return text;
}

std::string fish_completion(const ProgramReference& program) {
  std::string text = "# fish completion for tca; made by `tca completion fish`\ncomplete -c tca -f\n";
  for (const OptionReference& option : program.program.options) {
    text += fish_option("__fish_use_subcommand", option, program);
  }
  for (const CommandReference& command : program.commands) {
    text +=
        fmt::format("complete -c tca -n __fish_use_subcommand -a {} -d {}\n", command.name, fish_quoted(command.help));
    const std::string when = "__fish_seen_subcommand_from " + command.name;
    for (const OptionReference& option : command.options) text += fish_option(when, option, program);
    for (const OptionReference& argument : command.arguments) {
      // Not -r -F as an option: the argument is no option's value.
      const std::string value = argument.kind == ValueKind::kFile ? " -F" : fish_value(argument, program);
      text += fmt::format("complete -c tca -n {}{}\n", fish_quoted(when), value);
    }
  }
  return text;
}

}  // namespace tca::cli
