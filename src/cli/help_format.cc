#include "cli/help_format.h"

namespace tca::cli {

namespace {
constexpr std::size_t kOptionColumns = 27;
}  // namespace

HelpFormatter::HelpFormatter() {
  column_width(kOptionColumns);
  label("SUBCOMMAND", "COMMAND");
}

// CLI11 puts an empty line before a group and another one after it. One is enough.
std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  return CLI::Formatter::make_usage(app, std::move(name)) + "\n";
}

std::string HelpFormatter::make_group(std::string group, bool is_positional,
                                      std::vector<const CLI::Option*> options) const {
  const std::string text = CLI::Formatter::make_group(std::move(group), is_positional, std::move(options));
  return text.substr(1) + (is_positional ? "\n" : "");
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  std::string value = option->get_default_str();
  if (value.starts_with('[')) value = value.substr(1, value.size() - 2);  // lists
  std::string text = option->get_description();
  if (option->get_required()) text += " (required)";
  return value.empty() ? text : text + " (default: " + value + ")";
}

}  // namespace tca::cli
