#include "cli/suggest.h"

#include <fmt/format.h>

#include <algorithm>

namespace tca::cli {

namespace {

// Optimal string alignment: insertions, deletions, changes and swaps of neighbours, one each.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string nearest_word(const std::string& word, const std::vector<std::string>& known) {
  std::string best, longer;
  // A third of a word may be wrong; more is another word.
  std::size_t least = word.size() / 3 + 1;
  int begin_so = 0;
  for (const std::string& candidate : known) {
    const std::size_t far = distance(word, candidate);
    if (far < least) {
      least = far;
      best = candidate;
    }
    if (word.size() > 2 && candidate.starts_with(word)) {
      longer = candidate;
      ++begin_so;
    }
  }
  return best.empty() && begin_so == 1 ? longer : best;
}

std::string unknown_word_message(const std::vector<std::string>& words, const ProgramReference& program,
                                 const CommandReference* command) {
  if (words.empty()) return "";
  // Without a command the first word that is no option was meant as one; options behind it are its own.
  const auto is_option = [](const std::string& word) { return word.size() > 1 && word.starts_with('-'); };
  const auto plain = std::find_if_not(words.begin(), words.end(), is_option);
  const bool wants_command = command == nullptr && plain != words.end();
  const std::string word = wants_command ? *plain : words.front().substr(0, words.front().find('='));
  const bool option = !wants_command && is_option(word);
  if (!wants_command && !option) return fmt::format("'{}' was not expected here", word);

  std::vector<std::string> known;
  for (const CommandReference& one : program.commands) {
    if (wants_command) known.push_back(one.name);
  }
  for (const OptionReference& one : (command != nullptr ? *command : program.program).options) {
    if (option) known.insert(known.end(), one.names.begin(), one.names.end());
  }
  const std::string meant = nearest_word(word, known);
  return fmt::format("unknown {} '{}'{}", option ? "option" : "command", word,
                     meant.empty() ? "" : fmt::format("; did you mean '{}'?", meant));
}

}  // namespace tca::cli
