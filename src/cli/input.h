// Prompts and documents: from the command line, a file or standard input.
#pragma once

#include <string>

namespace tca::cli {

/// A whole text file, at most 256 MiB; "-" is standard input. A warning where it is not UTF-8.
std::string read_text(const std::string& path);
/// The same, and an error when there is nothing in it. what: "prompt", "document".
std::string read_text_not_empty(const std::string& path, const std::string& what);

}  // namespace tca::cli
