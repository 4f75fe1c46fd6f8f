// How --help looks, at any width.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/reference.h"

namespace tca::cli {

/// Of the program: its commands too.
std::string program_help(const ProgramReference& program, std::size_t width);
std::string command_help(const CommandReference& command, std::size_t width);

/// Puts both behind CLI11's --help, as wide as standard output.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

}  // namespace tca::cli
