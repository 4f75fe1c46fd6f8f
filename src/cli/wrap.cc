#include "cli/wrap.h"

#include <algorithm>

namespace tca::cli {

namespace {

// The words of a line; quoted: a space between double quotes belongs to its word.
std::vector<std::string> words_of(std::string_view text, bool quoted) {
  std::vector<std::string> words(1);
  bool inside = false;
  for (const char c : text) {
    if (c == '"') inside = quoted && !inside;
    if (c == ' ' && !inside) {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::vector<std::string> lines_of(const std::vector<std::string>& words, std::size_t width) {
  std::vector<std::string> lines;
  for (const std::string& word : words) {
    if (lines.empty() || display_width(lines.back()) + 1 + display_width(word) > width) {
      lines.push_back(word);
    } else {
      lines.back() += " " + word;
    }
  }
  return lines;
}

constexpr std::size_t kNarrowest = 16;  // text stays readable, and wraps as the terminal likes
std::size_t room(std::size_t width, std::size_t taken) { return std::max(kNarrowest, width - std::min(width, taken)); }

}  // namespace

std::vector<std::string> wrap_words(std::string_view text, std::size_t width) {
  return lines_of(words_of(text, /*quoted=*/false), std::max<std::size_t>(1, width));
}

std::string fill(std::string_view text, std::size_t width, std::size_t indent) {
  std::string filled;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::vector<std::string> lines = wrap_words(text.substr(begin, end - begin), room(width, indent));
    if (lines.empty()) filled += "\n";
    for (const std::string& line : lines) filled += std::string(indent, ' ') + line + "\n";
    begin = end + 1;
  }
  return filled;
}

std::string labelled(const Style& style, std::string_view label, std::size_t label_width, std::string_view text) {
  constexpr std::size_t kIndent = 2;
  const std::string head = std::string(kIndent, ' ') + style.dim(pad(label, label_width));
  const std::string filled = fill(text, style.width(), kIndent + label_width);
  return filled.empty() ? head + "\n" : head + filled.substr(kIndent + label_width);
}

std::string fill_command(std::string_view command, std::size_t width, std::size_t indent) {
  constexpr std::size_t kMore = 4;  // a command that goes on stands further in
  constexpr std::string_view kGoesOn = " \\";
  const std::size_t columns = room(width, indent + kMore + kGoesOn.size());
  const std::vector<std::string> words = words_of(command, /*quoted=*/true);
  if (display_width(command) + indent <= width) return std::string(indent, ' ') + std::string(command) + "\n";
  const std::vector<std::string> lines = lines_of(words, columns);
  std::string filled;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool last = i + 1 == lines.size();
    filled += std::string(i == 0 ? indent : indent + kMore, ' ') + lines[i] + (last ? "" : std::string(kGoesOn)) + "\n";
  }
  return filled;
}

}  // namespace tca::cli
