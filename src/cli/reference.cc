#include "cli/reference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

namespace tca::cli {

namespace {

constexpr std::string_view kChoices = "one of ";  // begins the names of our validators; the words follow

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<std::string> choices_of(CLI::Option& option) {
  for (int i = 0;; ++i) {
    try {
      const std::string& name = option.get_validator(i)->get_name();
      if (name.starts_with(kChoices)) return split(std::string_view(name).substr(kChoices.size()), '|');
    } catch (const CLI::OptionNotFound&) {  // the only way to learn how many there are
      return {};
    }
  }
}

ValueKind kind_of(const OptionReference& option) {
  if (!option.choices.empty()) return ValueKind::kChoice;
  if (option.value.starts_with("FILE") || option.value == "PATH") return ValueKind::kFile;
  if (option.value == "DIR") return ValueKind::kFolder;
  return option.value == "COMMAND" ? ValueKind::kCommand : ValueKind::kNone;
}

OptionReference reference_of_option(CLI::Option& option) {
  OptionReference found;
  for (const std::string& name : option.get_snames()) found.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) found.names.push_back("--" + name);
  const bool flag = option.get_items_expected_max() == 0;
  found.value = option.get_positional() ? option.get_name(true) : flag ? "" : option.get_type_name();
  found.help = option.get_description();
  found.fallback = option.get_default_str();
  if (found.fallback.starts_with('[')) found.fallback = found.fallback.substr(1, found.fallback.size() - 2);  // lists
  found.group = option.get_group();
  found.choices = choices_of(option);
  found.required = option.get_required();
  found.listed = found.value.ends_with(",...");
  found.kind = kind_of(found);
  return found;
}

}  // namespace

CLI::Validator one_of(const std::vector<std::string>& choices) {
  return CLI::IsMember(choices).description("").name(fmt::format("{}{}", kChoices, fmt::join(choices, "|")));
}

CommandReference command_reference(CLI::App& command) {
  CommandReference found;
  found.name = command.get_name();
  found.help = command.get_description();
  found.footer = command.get_footer();
  for (CLI::Option* option : command.get_options([](const CLI::Option*) { return true; })) {
    if (option->get_group().empty()) continue;  // hidden
    (option->get_positional() ? found.arguments : found.options).push_back(reference_of_option(*option));
  }
  return found;
}

ProgramReference reference_of(CLI::App& app) {
  CLI::App& program = app.get_parent() != nullptr ? *app.get_parent() : app;
  ProgramReference found;
  found.program = command_reference(program);
  for (CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    found.commands.push_back(command_reference(*command));
  }
  return found;
}

std::string help_with_default(const OptionReference& option) {
  if (option.required && !option.names.empty()) return option.help + " (required)";
  if (option.fallback.empty()) return option.help;
  // A space after each comma, so that long lists can be broken into lines.
  const std::string fallback = fmt::format("{}", fmt::join(split(option.fallback, ','), ", "));
  return fmt::format("{} (default: {})", option.help, fallback);
}

}  // namespace tca::cli
