#include "cli/help_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "cli/terminal.h"
#include "cli/wrap.h"

namespace tca::cli {

namespace {

constexpr std::size_t kHelpColumn = 27;  // where the text beside an option begins
constexpr std::size_t kBesideFrom = 56;  // narrower than this, it stands below
constexpr std::size_t kBelowIndent = 6;

// "  -m,--model DIR           Directory or name of a model", the text wrapped in its column.
std::string entry(const std::string& name, const std::string& text, std::size_t width) {
  const bool beside = width >= kBesideFrom;
  const std::string head = "  " + name;
  const std::size_t column = beside ? kHelpColumn : kBelowIndent;
  std::string filled = fill(text, width, column);
  if (beside && display_width(head) + 1 < column) return head + filled.substr(display_width(head));
  return head + "\n" + filled;
}

std::string option_name(const OptionReference& option) {
  return fmt::format("{}{}{}", fmt::join(option.names, ","), option.value.empty() ? "" : " ", option.value);
}

std::string option_groups(const std::vector<OptionReference>& options, std::size_t width) {
  std::vector<std::string> groups;
  for (const OptionReference& option : options) {
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) groups.push_back(option.group);
  }
  std::string text;
  for (const std::string& group : groups) {
    text += "\n" + group + ":\n";
    for (const OptionReference& option : options) {
      if (option.group == group) text += entry(option_name(option), help_with_default(option), width);
    }
  }
  return text;
}

// Lines that begin with spaces are commands, others text.
std::string footer_text(const std::string& footer, std::size_t width) {
  std::string text = footer.empty() ? "" : "\n";
  for (std::size_t begin = 0; begin < footer.size();) {
    const std::size_t end = std::min(footer.find('\n', begin), footer.size());
    const std::string line = footer.substr(begin, end - begin);
    const std::size_t indent = line.find_first_not_of(' ');
    const bool command = indent != std::string::npos && indent > 0;
    text += command ? fill_command(std::string_view(line).substr(indent), width, indent) : fill(line, width, 0);
    begin = end + 1;
  }
  return text;
}

}  // namespace

std::string program_help(const ProgramReference& reference, std::size_t width) {
  const CommandReference& program = reference.program;
  std::string text = fill(program.help, width, 0) + fmt::format("\nUsage: {} [OPTIONS] COMMAND\n", program.name);
  text += option_groups(program.options, width) + "\nCommands:\n";
  for (const CommandReference& command : reference.commands) text += entry(command.name, command.help, width);
  return text + footer_text(program.footer, width);
}

std::string command_help(const CommandReference& command, std::size_t width) {
  std::string text = fill(command.help, width, 0) + fmt::format("\nUsage: tca {} [OPTIONS]", command.name);
  for (const OptionReference& argument : command.arguments) {
    text += argument.required ? " " + argument.value : fmt::format(" [{}]", argument.value);
  }
  text += "\n";
  if (!command.arguments.empty()) text += "\nArguments:\n";
  for (const OptionReference& argument : command.arguments) {
    text += entry(argument.value, help_with_default(argument), width);
  }
  return text + option_groups(command.options, width) + footer_text(command.footer, width);
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string /*name*/, CLI::AppFormatMode /*mode*/) const {
  // CLI11 shows an option's validators to those only who might change them.
  auto& command = const_cast<CLI::App&>(*app);
  const std::size_t width = output_width(STDOUT_FILENO);
  return app->get_parent() == nullptr ? program_help(reference_of(command), width)
                                      : command_help(command_reference(command), width);
}

}  // namespace tca::cli
