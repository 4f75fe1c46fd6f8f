#include "core/utf8.h"

#include <gtest/gtest.h>

namespace tca {
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

}  // namespace
}  // namespace tca
