#include "runtime/tokenizer/regex.h"

#include <gtest/gtest.h>

#include "core/expect_error.h"
#include "runtime/tokenizer/regex_syntax.h"

namespace tca::runtime {
namespace {

using testing::expect_error;

std::vector<std::string> matches(const char* pattern, std::string_view text) {
  std::vector<std::string> found;
  for (const Range& match : Regex::parse(pattern, "test").find_all(text)) {
    found.emplace_back(text.substr(match.begin, match.size()));
  }
  return found;
}
using Strings = std::vector<std::string>;

TEST(RegexTest, UnicodeClasses) {
  EXPECT_EQ(matches(R"(\p{L}+)", "naïve Ωmega 中文 x1"), (Strings{"naïve", "Ωmega", "中文", "x"}));
  EXPECT_EQ(matches(R"(\p{N})", "1٣Ⅷ²a"), (Strings{"1", "٣", "Ⅷ", "²"}));
  EXPECT_EQ(matches(R"(\s+)", "a \u3000\n b\u180e c"), (Strings{" \u3000\n ", " "}));  // U+180E is no white space
  EXPECT_EQ(matches(R"([^\s\p{L}]+)", "ab 12!c"), (Strings{"12!"}));
  EXPECT_EQ(matches(R"(\P{L}+)", "ab 12c"), (Strings{" 12"}));
  EXPECT_EQ(matches(R"((?i:'s|'t))", "'S 'ſ 't 'x"), (Strings{"'S", "'ſ", "'t"}));
  EXPECT_EQ(matches(R"(\s+(?!\S))", "a   b"), (Strings{"  "}));
  EXPECT_EQ(matches(R"(\p{Han}+)", "漢字かな"), (Strings{"漢字"}));
  EXPECT_EQ(matches("a$", "a\nba"), (Strings{"a", "a"}));  // anchors are those of lines
}

TEST(RegexTest, ClassesHoldCharactersNewerThanThisPcre) {
  EXPECT_EQ(matches(R"(\p{L})", "\U00031350\u1c89"), (Strings{"\U00031350", "\u1c89"}));
  EXPECT_EQ(matches(R"([^\p{L}])", "\U00031350."), (Strings{"."}));
  EXPECT_EQ(matches(R"(\P{L})", "\U00031350."), (Strings{"."}));
  EXPECT_EQ(matches(R"([-\p{Lu}]+)", "\u1c89-a"), (Strings{"\u1c89-"}));
}

TEST(RegexTest, EmptyMatchesMoveOn) {
  EXPECT_EQ(matches("x*", "axxb"), (Strings{"", "xx", ""}));
  EXPECT_EQ(matches("(?=é)", "aéé"), (Strings{"", ""}));
}

TEST(RegexTest, WhatTheEnginesReadDifferentlyIsTranslatedOrRefused) {
  EXPECT_EQ(matches("a{,2}b", "aaab"), (Strings{"aab"}));
  EXPECT_EQ(matches("{x}", "a{x}"), (Strings{"{x}"}));
  EXPECT_EQ(matches(R"(\v)", "\v\n"), (Strings{"\v"}));
  EXPECT_EQ(matches(R"(\u4e00|\x{4e01}|\x41)", "一丁A"), (Strings{"一", "丁", "A"}));
  for (const char* pattern :
       {R"(\w)",     R"(\b)",   R"(\1)",  R"(\h)",       R"(\R)",   R"(\K)", R"(\x80)", R"(\p{Foo})",
        R"(\pL)",    "[a[b]]",  "[a&&b]", "[[:alpha:]]", "(?<n>a)", "(?i)a", "(?m:a)",  "(?R)",
        "(*ACCEPT)", "a{1,2}+", "a{2}?",  R"([\P{L}])",  "[]a]",    "[a",    "\\",      R"(\x{110000})"}) {
    EXPECT_THROW(Regex::parse(pattern, "tokenizer.json: pattern"), Error) << pattern;
  }
  expect_error(ErrorCategory::kUnsupported, R"(tokenizer.json: pattern: the regular expression uses the escape \w)",
               [] { Regex::parse(R"(a\w)", "tokenizer.json: pattern"); });
  expect_error(ErrorCategory::kBadFile, "is broken", [] { Regex::parse("(a", "p"); });
  expect_error(ErrorCategory::kUnsupported, "longer than", [] { Regex::parse(std::string(20000, 'a'), "p"); });
}

TEST(RegexTest, LiteralsMatchThemselves) {
  const std::string text = "a.b*c[\\]()^$| \xe2\x96\x81\n\0";
  for (const char c : text) {
    const auto found = Regex::literal(std::string(1, '.') + "x").find_all(std::string("axbx.x") + (c < 0 ? 'z' : c));
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].begin, 4u);
  }
  EXPECT_EQ(Regex::literal(text).find_all("--" + text).size(), 1u);
}

TEST(RegexTest, HostileExpressionsEndInAnError) {
  const std::string text(5000, 'a');
  expect_error(ErrorCategory::kUnsupported, "too many steps on this text of 5000 bytes",
               [&] { Regex::parse("(a|a)*[bc]", "p").find_all(text); });
  expect_error(ErrorCategory::kUnsupported, "too many steps", [&] { Regex::parse("(?:a+)+[bc]", "p").find_all(text); });
}

TEST(RegexTest, DeepNestingOfTheTextNeedsNoDeepStack) {
  const std::string text(300'000, 'a');
  EXPECT_EQ(Regex::parse("(?:a|b)+", "p").find_all(text).size(), 1u);
}

TEST(RegexTest, WordCharacters) {
  const Regex word = Regex::word_character();
  for (const char* yes : {"a", "_", "5", "é", "中", "\u0301", "ⓐ"}) EXPECT_TRUE(word.matches_somewhere(yes)) << yes;
  for (const char* no : {" ", "-", "²", "!", "", "😀"}) EXPECT_FALSE(word.matches_somewhere(no)) << no;
}

}  // namespace
}  // namespace tca::runtime
