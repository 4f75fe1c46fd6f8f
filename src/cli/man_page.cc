#include "cli/man_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/wrap.h"
#include "tca/version.h"

namespace tca::cli {

namespace {

// Text that roff takes for nothing else: no escapes, no requests at the beginning of a line, hyphens that stay.
std::string roff(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    out += c == '\\' ? std::string("\\e") : c == '-' ? std::string("\\-") : std::string(1, c);
  }
  return out;
}

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(const std::string& text) { return text.empty() ? "" : " \\fI" + roff(text) + "\\fR"; }

std::string entry(const std::string& head, const std::string& text) {
  return ".TP\n" + head + "\n" + roff(text) + "\n";
}

std::string options(const CommandReference& command) {
  std::string text;
  for (const OptionReference& argument : command.arguments) {
    text += entry(bold(argument.value), help_with_default(argument));
  }
  for (const OptionReference& option : command.options) {
    std::string head;
    for (const std::string& name : option.names) head += (head.empty() ? "" : ", ") + bold(name);
    text += entry(head + italic(option.value), help_with_default(option));
  }
  return text;
}

// Lines that begin with spaces are commands and stay lines.
std::string footer(const std::string& text) {
  constexpr std::size_t kCommandColumns = 72;
  std::string out;
  bool shown = false;  // a command was last
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    const bool command = line.starts_with(' ');
    if (command && !shown) out += ".nf\n";
    if (!command) out += shown ? ".fi\n.PP\n" : out.empty() ? ".PP\n" : ".br\n";
    out +=
        command ? roff(fill_command(line.substr(line.find_first_not_of(' ')), kCommandColumns, 2)) : roff(line) + "\n";
    shown = command;
    begin = end + 1;
  }
  return shown ? out + ".fi\n" : out;
}

const std::pair<const char*, const char*> kEnvironment[] = {
    {"TCA_MODELS", "A folder with models, looked through first for names without a slash."},
    {"TCA_DATA", "The same for texts."},
    {"NO_COLOR", "Set, nothing is coloured."},
    {"TERM", "\"dumb\": no colour, no cursor movement, plain ASCII."},
    {"LC_ALL, LC_CTYPE, LANG", "A locale that is not UTF-8: tables and bars in plain ASCII."},
};

const std::pair<const char*, const char*> kExitCodes[] = {
    {"0", "Done."},
    {"1", "Failed: one line on standard error says what and where."},
    {"2", "Wrong command line."},
    {"130, 143", "Stopped by Ctrl-C, by SIGTERM."},
};

template <class Entries>
std::string entries(const Entries& list) {
  std::string text;
  for (const auto& [head, what] : list) text += entry(bold(head), what);
  return text;
}

}  // namespace

std::string man_page(const ProgramReference& reference) {
  const CommandReference& program = reference.program;
  std::string text = fmt::format(".TH TCA 1 \"\" \"tca {}\" \"User Commands\"\n", TCA_VERSION);
  text += ".SH NAME\n" + roff("tca - " + program.help) + "\n";
  text += ".SH SYNOPSIS\n" + bold("tca") + italic("COMMAND") + " [" + italic("OPTIONS").substr(1) + "]\n";
  text += ".SH OPTIONS\n" + options(program) + footer(program.footer);
  text += ".SH COMMANDS\n";
  for (const CommandReference& command : reference.commands) {
    text += ".SS " + bold("tca " + command.name) + "\n" + roff(command.help) + "\n" + options(command) +
            footer(command.footer);
  }
  text += ".SH ENVIRONMENT\n" + entries(kEnvironment) + ".SH EXIT STATUS\n" + entries(kExitCodes);
  text += ".SH SEE ALSO\n" +
          roff("docs/cli.md, beside the installed README.md: what holds for all commands, and the fields of --json.") +
          "\n";
  return text;
}

}  // namespace tca::cli
