#include "evaluation/task_scores.h"

#include <algorithm>
#include <charconv>
#include <cmath>
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

char small_letter(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string small_letters(std::string_view text) {
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(), small_letter);
  return small;
}

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
      word += small_letter(c);
    }
  }
  end_word();
  return words;
}

// An answer without words ("+") counts as it stands.
bool stands_as_words(std::string_view said, const std::string& answer) {
  const bool has_words =
      std::any_of(answer.begin(), answer.end(), [](char c) { return !is_space(c) && !is_punctuation(c); });
  return has_words ? words_found(said, answer) : said.find(answer) != std::string_view::npos;
}

// Digits, and a point with more of them: signs and exponents are words to those who score numbers in a text.
std::optional<double> first_number(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  const std::size_t begin = std::min(text.find_first_of(kDigits), text.size());
  std::size_t end = std::min(text.find_first_not_of(kDigits, begin), text.size());
  if (end + 1 < text.size() && text[end] == '.' && kDigits.find(text[end + 1]) != std::string_view::npos) {
    end = std::min(text.find_first_not_of(kDigits, end + 1), text.size());
  }
  return parse_number(text.substr(begin, end - begin));
}

bool is_number(std::string_view said, const std::string& answer) {
  const std::optional<double> number = first_number(said), expected = parse_number(answer);
  if (!number || !expected) return false;
  return answer.find('.') == std::string::npos ? std::trunc(*number) == *expected : *number == *expected;
}

double share_of(std::int64_t part, std::size_t all) { return static_cast<double>(part) / static_cast<double>(all); }

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

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  const bool valid = read.ec == std::errc() && read.ptr == end && std::isfinite(number);
  return valid ? std::optional(number) : std::nullopt;
}

double task_score(std::string_view said, const TaskQuestion& question) {
  const auto& answers = question.answers;
  const auto count = [&answers](const auto& is_right) {
    return std::count_if(answers.begin(), answers.end(), is_right);
  };
  const std::string small = small_letters(said);
  const auto stands_in = [&small](const std::string& answer) {
    return small.find(small_letters(answer)) != std::string::npos;
  };
  double best = 0;
  switch (question.metric) {
    case TaskMetric::kAny:
      return count(stands_in) > 0 ? 1 : 0;
    case TaskMetric::kAll:
      return share_of(count(stands_in), answers.size());
    case TaskMetric::kWords:
      return count([said](const std::string& answer) { return stands_as_words(said, answer); }) > 0 ? 1 : 0;
    case TaskMetric::kF1:
      for (const std::string& answer : answers) best = std::max(best, token_f1(said, answer));
      return best;
    case TaskMetric::kNumber:
      return count([said](const std::string& answer) { return is_number(said, answer); }) > 0 ? 1 : 0;
    case TaskMetric::kChoice:
      return count([said](const std::string& answer) { return answer == said; }) > 0 ? 1 : 0;
  }
  return 0;
}

}  // namespace tca::evaluation
