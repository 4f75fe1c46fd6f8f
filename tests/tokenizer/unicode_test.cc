#include "runtime/tokenizer/unicode.h"

#include <gtest/gtest.h>

namespace tca::runtime {
namespace {

std::string repaired(std::string_view bytes) {
  std::string storage;
  return std::string(repair_utf8(bytes, storage));
}

// U+FFFD stands for a maximal subpart: the bytes of a sequence that could still have become a character.
TEST(Utf8Test, BrokenBytesBecomeReplacementCharactersAsInPython) {
  const std::string r(kReplacementCharacter);
  EXPECT_EQ(repaired("plain ascii, long enough for a word at a time"), "plain ascii, long enough for a word at a time");
  EXPECT_EQ(repaired("\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80"), "é中😀");
  EXPECT_EQ(repaired("\xff"), r);
  EXPECT_EQ(repaired("\x80\x80"), r + r);
  EXPECT_EQ(repaired("a\xe4\xb8z"), "a" + r + "z");                      // cut off after two of three
  EXPECT_EQ(repaired("a\xf0\x9f\x98"), "a" + r);                         // cut off by the end
  EXPECT_EQ(repaired("\xc0\xaf"), r + r);                                // overlong
  EXPECT_EQ(repaired("\xe0\x80\x80"), r + r + r);                        // overlong
  EXPECT_EQ(repaired("\xed\xa0\x80"), r + r + r);                        // a surrogate
  EXPECT_EQ(repaired("\xf4\x90\x80\x80"), r + r + r + r);                // above U+10FFFF
  EXPECT_EQ(repaired("\xf1\x80\x80\xe1\x80\xc2\x62"), r + r + r + "b");  // the Unicode standard's example
  EXPECT_EQ(repaired(std::string_view("\0", 1)), std::string(1, '\0'));
}

TEST(Utf8Test, ValidTextIsNotCopied) {
  const std::string_view text = "naïve";
  std::string storage;
  EXPECT_EQ(repair_utf8(text, storage).data(), text.data());
}

TEST(Utf8Test, CodePointsGoThereAndBack) {
  for (const char32_t c : {0x0u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
    std::string bytes = "x";
    append_utf8(bytes, c);
    std::size_t position = 1;
    EXPECT_EQ(next_code_point(bytes, position), c);
    EXPECT_EQ(position, bytes.size());
    EXPECT_EQ(previous_start(bytes, bytes.size()), 1u);
  }
}

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
