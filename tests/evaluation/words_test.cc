#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "evaluation/lookup_tasks.h"

namespace tca::evaluation {
namespace {

// The i-th of many different words of 6 letters.
std::string word(int i) {
  std::string out = "aaaaaa";
  for (char& letter : out) {
    letter = static_cast<char>('a' + i % 26);
    i /= 26;
  }
  return out;
}

// Word 0 most often, the others ever less often.
std::string text_of_words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    for (int n = i; n < count; n += 50) text += word(i) + (n % 2 == 0 ? " " : ", ");
  }
  return text;
}

TEST(NameWords, AreTheWordsOfTheTextWithoutTheMostFrequent) {
  const std::vector<std::string> words = name_words(text_of_words(1000));
  ASSERT_EQ(words.size(), 700u);
  for (int i = 0; i < 700; ++i) EXPECT_EQ(words[static_cast<std::size_t>(i)], word(300 + i));
}

TEST(NameWords, WordsOfTheWrongFormAreNone) {
  // Capitals, digits, underscores, other alphabets, too short, too long: none may appear, nor parts of them.
  std::string text = text_of_words(1000);
  for (const char* bad : {"Wxyzq", "wxyzq1", "wx_yzq", "wxyzq\xc3\xa9", "\xc3\xa9wxyzq", "wxy", "wxyzqwxyzq"}) {
    for (int i = 0; i < 5; ++i) text += std::string(bad) + " ";
  }
  for (const std::string& found : name_words(text)) EXPECT_EQ(found.find("wxy"), std::string::npos) << found;
}

TEST(NameWords, PoorTextsGetMadeUpWords) {
  for (const std::string& text : {std::string(), std::string("few words only"), text_of_words(700)}) {
    const std::vector<std::string> words = name_words(text);
    EXPECT_EQ(std::set<std::string>(words.begin(), words.end()).size(), words.size());
    EXPECT_GE(words.size(), 500u);
    for (const std::string& made_up : words) {
      EXPECT_TRUE(made_up.size() >= 4 && made_up.size() <= 9) << made_up;
      EXPECT_TRUE(std::all_of(made_up.begin(), made_up.end(), [](char c) { return c >= 'a' && c <= 'z'; })) << made_up;
    }
    EXPECT_EQ(words, name_words(text));
  }
}

}  // namespace
}  // namespace tca::evaluation
