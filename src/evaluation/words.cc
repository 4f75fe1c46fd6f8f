// Words for names, taken from the text they are planted in, so that they do not stand out.
#include <algorithm>
#include <unordered_map>

#include "evaluation/lookup_tasks.h"
#include "evaluation/random.h"

namespace tca::evaluation {
namespace {

constexpr std::size_t kGlueWords = 300;    // the most frequent ones: they are everywhere and name nothing
constexpr std::size_t kMaxRank = 6000;     // rarer ones are often misprints
constexpr std::size_t kEnoughWords = 500;  // pairs of fewer would soon repeat
constexpr std::size_t kMinLetters = 4, kMaxLetters = 9;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
// Bytes from 0x80 on are letters of other alphabets: a run of ASCII letters beside them is no whole word.
bool is_word_byte(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::vector<std::string> made_up_words() {
  Random random(0);
  std::vector<std::string> words;
  while (words.size() < 2 * kEnoughWords) {
    std::string word;
    for (std::int64_t i = random.between(2, 4); i > 0; --i) {
      word += "bcdfghjklmnprstvwz"[random.below(18)];
      word += "aeiou"[random.below(5)];
    }
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
  return words;
}

}  // namespace

std::vector<std::string> name_words(const std::string& text) {
  struct Count {
    std::string word;
    std::int64_t count = 0;
  };
  std::vector<Count> counts;  // in order of first occurrence, which decides between equally frequent words
  std::unordered_map<std::string, std::size_t> index;
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = begin;
    bool lower = true;
    for (; end < text.size() && is_word_byte(text[end]); ++end) lower = lower && is_lower(text[end]);
    if (!lower || end - begin < kMinLetters || end - begin > kMaxLetters) continue;
    const auto [it, added] = index.try_emplace(text.substr(begin, end - begin), counts.size());
    if (added) counts.push_back({it->first, 0});
    ++counts[it->second].count;
  }
  std::stable_sort(counts.begin(), counts.end(), [](const Count& a, const Count& b) { return a.count > b.count; });
  if (counts.size() < kGlueWords + kEnoughWords) return made_up_words();
  std::vector<std::string> words;
  for (std::size_t i = kGlueWords; i < std::min(counts.size(), kMaxRank); ++i) words.push_back(counts[i].word);
  return words;
}

}  // namespace tca::evaluation
