#include "evaluation/task_scores.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "evaluation/answers.h"

namespace tca::evaluation {
namespace {

bool is_punctuation(char c) {
  constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  return kPunctuation.find(c) != std::string_view::npos;
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Punctuation is left out where it stands, as SQuAD does it: "it's" is one word.
std::vector<std::string> squad_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty() && word != "a" && word != "an" && word != "the") words.push_back(word);
    word.clear();
  };
  for (const char c : text) {
    if (is_space(c)) {
      end_word();
    } else if (!is_punctuation(c)) {
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  end_word();
  return words;
}

// An answer without words ("+") counts as it stands.
bool stands_in(std::string_view said, const std::string& answer) {
  const bool has_words =
      std::any_of(answer.begin(), answer.end(), [](char c) { return !is_space(c) && !is_punctuation(c); });
  return has_words ? words_found(said, answer) : said.find(answer) != std::string_view::npos;
}

}  // namespace

double token_f1(std::string_view said, std::string_view answer) {
  const std::vector<std::string> words = squad_words(said), expected = squad_words(answer);
  std::map<std::string, std::int64_t> left;
  for (const std::string& word : expected) ++left[word];
  std::int64_t common = 0;
  for (const std::string& word : words) {
    const auto found = left.find(word);
    if (found == left.end() || found->second == 0) continue;
    --found->second;
    ++common;
  }
  // 2 / (1 / precision + 1 / recall)
  return common == 0 ? 0 : 2.0 * static_cast<double>(common) / static_cast<double>(words.size() + expected.size());
}

double task_score(std::string_view said, const TaskQuestion& question) {
  const auto& answers = question.answers;
  if (question.metric == TaskMetric::kChoice) return std::count(answers.begin(), answers.end(), said) > 0 ? 1 : 0;
  if (question.metric == TaskMetric::kF1) {
    double best = 0;
    for (const std::string& answer : answers) best = std::max(best, token_f1(said, answer));
    return best;
  }
  const auto found =
      std::count_if(answers.begin(), answers.end(), [said](const std::string& a) { return stands_in(said, a); });
  if (question.metric == TaskMetric::kAny) return found > 0 ? 1 : 0;
  return static_cast<double>(found) / static_cast<double>(answers.size());
}

}  // namespace tca::evaluation
