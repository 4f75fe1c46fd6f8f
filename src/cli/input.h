// Prompts and documents: from the command line, files, folders or standard input. What is no text is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tca::cli {

/// Why bytes are no text, and what makes text of them; empty for text. For a message "NAME ...".
std::string why_no_text(std::string_view bytes);
/// Throws kBadFile where a text is none, warns where it is not UTF-8. name: where it came from.
void check_text(std::string_view text, const std::string& name);

/// A whole text file, at most 256 MiB, without a byte-order mark; "-" is standard input. Throws kBadFile for what is no
/// text, warns where it is not UTF-8.
std::string read_text(const std::string& path);
/// The same, and an error when there is nothing in it. what: "prompt", "document".
std::string read_text_not_empty(const std::string& path, const std::string& what);

/// Several files as one text.
struct TextInput {
  std::string text;
  int files = 0;
  int hidden = 0, binary = 0;  // left out of folders
};
/// Files and folders, "-" for standard input. A single file is as read_text_not_empty reads it. Else every file comes
/// with its name as a heading; of folders, all below them in the order of their names, but hidden ones and what is no
/// text. Says on standard error how many there were in folders.
TextInput read_texts(const std::vector<std::string>& paths, const std::string& what);

}  // namespace tca::cli
