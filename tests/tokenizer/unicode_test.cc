#include "runtime/tokenizer/unicode.h"

#include <gtest/gtest.h>

namespace tca::runtime {
namespace {

TEST(NormalizeTest, ComposesAndDecomposes) {
  EXPECT_EQ(normalize_unicode("cafe\u0301!", UnicodeForm::kNfc), "café!");
  EXPECT_EQ(normalize_unicode("café", UnicodeForm::kNfd), "cafe\u0301");
  EXPECT_EQ(normalize_unicode("ﬁ ² Å", UnicodeForm::kNfkc), "fi 2 Å");
  EXPECT_EQ(normalize_unicode("ﬁ²", UnicodeForm::kNfkd), "fi2");
  EXPECT_EQ(normalize_unicode("\u1112\u1161\u11ab", UnicodeForm::kNfc), "한");
  EXPECT_EQ(normalize_unicode("a\u0301\u0323", UnicodeForm::kNfc), "ạ\u0301");  // marks are ordered first
  EXPECT_EQ(normalize_unicode("\u0958", UnicodeForm::kNfc), "\u0915\u093c");    // excluded from composition
  EXPECT_EQ(normalize_unicode("", UnicodeForm::kNfc), "");
  EXPECT_EQ(normalize_unicode("e\u0301", UnicodeForm::kNfc), "é");
}

TEST(NormalizeTest, CharactersNewerThanUnicode11PassUnchanged) {
  // U+0899 has combining class 220 since Unicode 14; it stays before U+0334 of class 1.
  EXPECT_EQ(normalize_unicode("a\u0899\u0334", UnicodeForm::kNfc), "a\u0899\u0334");
  EXPECT_EQ(normalize_unicode("\U00011935\U00011930", UnicodeForm::kNfc), "\U00011935\U00011930");
  EXPECT_EQ(normalize_unicode("\u32ff", UnicodeForm::kNfkc), "\u32ff");
}

TEST(NormalizeTest, LongRunsOfMarksAreSortedInTime) {
  // 2 x 200,000 marks in the wrong order: exchanging neighbours would take 4e10 steps.
  std::string marks;
  for (int i = 0; i < 200000; ++i) marks += "\u0301\u0323";
  const std::string result = normalize_unicode("a" + marks, UnicodeForm::kNfd);
  EXPECT_EQ(result.size(), 1 + marks.size());
  EXPECT_EQ(result.substr(1, 4), "\u0323\u0323");
  EXPECT_EQ(result.substr(result.size() - 4), "\u0301\u0301");
}

}  // namespace
}  // namespace tca::runtime
