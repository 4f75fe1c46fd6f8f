#include "cli/terminal.h"

#include <gtest/gtest.h>

#include "cli/utf8.h"

namespace tca::cli {
namespace {

TEST(Terminal, WidthCountsCodePoints) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("naïve"), 5u);
  EXPECT_EQ(display_width("nai\xCC\x88ve"), 5u);  // the diaeresis as a combining mark
  EXPECT_EQ(display_width("\xFF\xFE"), 2u);       // no UTF-8: a byte, a column
  EXPECT_EQ(display_width("\xE2\x82"), 2u);       // a character cut off
}

TEST(Terminal, WideCharactersTakeTwoColumns) {
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("\xF0\x9F\x8D\x8E"), 2u);  // an apple
  EXPECT_EQ(clip("日本語", 5), "日本…");
  EXPECT_EQ(clip("日本語", 4), "日…");
}

TEST(Terminal, PlainAsciiWhereTheTerminalOrTheLocaleAsksForIt) {
  EXPECT_EQ(choose_glyphs("xterm", nullptr).rule, "─");
  EXPECT_EQ(choose_glyphs(nullptr, nullptr).rule, "─");
  EXPECT_EQ(choose_glyphs("xterm", "en_US.UTF-8").rule, "─");
  EXPECT_EQ(choose_glyphs("xterm", "C.utf8").rule, "─");
  for (const Glyphs& plain : {choose_glyphs("dumb", "en_US.UTF-8"), choose_glyphs("xterm", "C"),
                              choose_glyphs("xterm", "de_DE.ISO-8859-1")}) {
    EXPECT_EQ(plain.rule, "-");
    EXPECT_EQ(plain.ellipsis, "...");
    EXPECT_EQ(plain.bar, "#");
    EXPECT_EQ(plain.groove, ".");
  }
  EXPECT_EQ(clip("abcdef", 5, "..."), "ab...");
  EXPECT_EQ(clip("abcdef", 2, "..."), "..");
}

TEST(Terminal, ClipKeepsCharactersWhole) {
  EXPECT_EQ(clip("abcdef", 6), "abcdef");
  EXPECT_EQ(clip("abcdef", 5), "abcd…");
  EXPECT_EQ(clip("äöüß", 3), "äö…");
  EXPECT_EQ(clip("ab cdef", 4), "ab…");  // no space before the dots
  EXPECT_EQ(clip("abc", 1), "…");
  EXPECT_EQ(clip("abc", 0), "");
}

TEST(Terminal, PadFillsUp) {
  EXPECT_EQ(pad("ä", 3), "ä  ");
  EXPECT_EQ(pad("ä", 3, true), "  ä");
  EXPECT_EQ(pad("long", 2), "long");
}

TEST(Terminal, OneLineHasNoControls) {
  EXPECT_EQ(one_line("a\n\tb"), "a b");
  EXPECT_EQ(one_line("\na  b \n"), "a  b");
  EXPECT_EQ(one_line("\x1b[31mred"), "[31mred");
  EXPECT_EQ(one_line("a\x7f"
                     "b"),
            "a b");
  EXPECT_EQ(one_line("a\xC2\x9B"
                     "b"),
            "a b");  // C1: a control sequence in one character
}

TEST(Terminal, StreamedTextKeepsLinesAndDrivesNothing) {
  EXPECT_EQ(without_controls("a\n\tb"), "a\n\tb");
  EXPECT_EQ(without_controls("\x1b]0;title\x07text\r"), "]0;titletext");
  EXPECT_EQ(without_controls("größe \xF0\x9F\x8D\x8E"), "größe \xF0\x9F\x8D\x8E");
}

TEST(Terminal, StyleWrapsOnlyInColour) {
  EXPECT_EQ(Style(false).bold("x"), "x");
  EXPECT_EQ(Style(true).bold("x"), "\x1b[1mx\x1b[0m");
  EXPECT_EQ(Style(true).on(16, 226, "x"), "\x1b[38;5;16;48;5;226mx\x1b[0m");
}

TEST(Utf8, StrictAboutForms) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("größe \xF0\x9F\x8D\x8E \xF4\x8F\xBF\xBF"));
  EXPECT_FALSE(is_utf8("\xC0\xAF"));          // overlong, two bytes
  EXPECT_FALSE(is_utf8("\xE0\x80\xAF"));      // overlong, three
  EXPECT_FALSE(is_utf8("\xF0\x80\x80\xAF"));  // overlong, four
  EXPECT_FALSE(is_utf8("\xED\xA0\x80"));      // surrogate
  EXPECT_FALSE(is_utf8("\xF4\x90\x80\x80"));  // above U+10FFFF
  EXPECT_FALSE(is_utf8("a\x80"));             // continuation without a lead
  EXPECT_FALSE(is_utf8("\xE2\x82"));          // cut off
  EXPECT_EQ(first_code_point("€x").value, 0x20ACu);
  EXPECT_EQ(first_code_point("€x").bytes, 3u);
}

}  // namespace
}  // namespace tca::cli
