#include "evaluation/answers.h"

#include <algorithm>

namespace tca::evaluation {
namespace {

// ASCII alone, whatever the locale: values are made of it.
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }

// Small letters, runs of white space as one space.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (space && (out.empty() || out.back() == ' ')) continue;
    out += space ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

// "12,345" as "12345".
std::string without_commas_in_numbers(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool inside = i > 0 && i + 1 < text.size() && is_digit(text[i - 1]) && is_digit(text[i + 1]);
    if (text[i] != ',' || !inside) out += text[i];
  }
  return out;
}

bool has_word(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]))) return true;
  }
  return false;
}

// Letters and digits alone, runs of anything else as one space.
std::string words_alone(std::string_view text) {
  std::string out;
  for (const char c : without_commas_in_numbers(plain(text))) {
    const bool word = is_word(c) || static_cast<unsigned char>(c) >= 0x80;
    if (!word && (out.empty() || out.back() == ' ')) continue;
    out += word ? c : ' ';
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace

std::int64_t max_answer_tokens(const Fact& fact, std::int64_t answer_tokens) {
  return is_natural(fact.kind) ? kNaturalAnswerTokens : answer_tokens + kSpareAnswerTokens;
}

bool words_found(std::string_view text, std::string_view answer) {
  const std::string words = words_alone(answer);
  return !words.empty() && has_word(words_alone(text), words);
}

std::vector<std::string> answer_values(std::string_view answer) {
  constexpr std::string_view kBetween = ", ";
  std::vector<std::string> values;
  for (std::size_t begin = 0; begin < answer.size();) {
    const std::size_t end = std::min(answer.find(kBetween, begin), answer.size());
    values.emplace_back(answer.substr(begin, end - begin));
    begin = end + kBetween.size();
  }
  return values;
}

bool answer_found(std::string_view text, const Fact& fact) {
  if (!fact.accepted.empty()) {
    return std::any_of(fact.accepted.begin(), fact.accepted.end(),
                       [text](const std::string& spelling) { return words_found(text, spelling); });
  }
  const std::string said = plain(text), numbers = without_commas_in_numbers(said);
  const std::vector<std::string> values = answer_values(plain(fact.answer));
  return !values.empty() && std::all_of(values.begin(), values.end(), [&](const std::string& value) {
    return has_word(said, value) || has_word(numbers, value);
  });
}

}  // namespace tca::evaluation
