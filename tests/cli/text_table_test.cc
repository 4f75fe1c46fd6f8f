#include "cli/text_table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace tca::cli {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(TextTable, AlignsColumns) {
  TextTable table({{"name"}, {"count", true}});
  table.add_row({{"größe"}, {"7"}});
  table.add_row({{"x"}, {"1,000"}});
  EXPECT_EQ(table.render(Style(false, 100), ""),
            "name   count\n"
            "────────────\n"
            "größe      7\n"
            "x      1,000\n");
}

TEST(TextTable, NoSpacesAtLineEnds) {
  TextTable table({{"a"}, {"note"}});
  table.add_row({{"x"}});
  table.add_row({{"x"}, {"longer than the header"}});
  for (const std::string& line : lines_of(table.render(Style(false, 100)))) EXPECT_FALSE(line.ends_with(' ')) << line;
}

TEST(TextTable, ShrinksWhatMayShrinkToTheWidth) {
  TextTable table({{"question", false, true}, {"fixed"}, {"answer", false, true}});
  table.add_row({{std::string(60, 'q')}, {"0123456789"}, {std::string(50, 'a')}});
  for (const std::string& line : lines_of(table.render(Style(false, 60)))) EXPECT_LE(display_width(line), 60u) << line;
  const std::string row = lines_of(table.render(Style(false, 60))).back();
  EXPECT_NE(row.find("0123456789"), std::string::npos);
  EXPECT_NE(row.find("…"), std::string::npos);
}

TEST(TextTable, WhatDoesNotFitStandsBelowWithItsKey) {
  TextTable table({{"tokens", true}, {"first token", true}, {"KV cache", true}, {"kept", true}});
  table.add_row({{"512"}, {"85 ms"}, {"4.0 MiB"}, {"20 %"}});
  table.add_row({{"1,024"}, {"170 ms"}, {"8.0 MiB"}, {"21 %"}});
  EXPECT_EQ(table.render(Style(false, 22), ""),
            "tokens  first token\n"
            "───────────────────\n"
            "   512        85 ms\n"
            " 1,024       170 ms\n"
            "\n"
            "tokens  KV cache  kept\n"
            "──────────────────────\n"
            "   512   4.0 MiB  20 %\n"
            " 1,024   8.0 MiB  21 %\n");
}

TEST(TextTable, SeveralColumnsCanBeTheKey) {
  TextTable table({{"tokens", true, false, true}, {"mode", false, false, true}, {"a"}, {"b"}});
  table.add_row({{"512"}, {"full"}, {"11111"}, {"22222"}});
  const auto lines = lines_of(table.render(Style(false, 20), ""));
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(lines[2], "   512  full  11111");
  EXPECT_EQ(lines[6], "   512  full  22222");
}

TEST(TextTable, FixedColumnsAreNeverCut) {
  TextTable table({{"a"}, {"b"}});
  table.add_row({{std::string(30, 'x')}, {std::string(30, 'y')}});
  const std::string text = table.render(Style(false, 20), "");
  EXPECT_NE(text.find(std::string(30, 'x')), std::string::npos);
  EXPECT_NE(text.find(std::string(30, 'y')), std::string::npos);
}

TEST(TextTable, PlainAsciiWhereThatIsAllThereIs) {
  TextTable table({{"question", false, true}});
  table.add_row({{"what is it that goes on and on"}});
  EXPECT_EQ(table.render(Style(false, 20, choose_glyphs("dumb", nullptr)), ""),
            "question\n"
            "--------------------\n"
            "what is it that g...\n");
}

TEST(TextTable, CellsAreOneLineAndColourChangesNoWidth) {
  TextTable table({{"said"}, {"mark"}});
  table.add_row({{"two\nlines"}, {"ok", CellStyle::kGood}});
  table.add_rule();
  table.add_row({{"next"}, {"miss", CellStyle::kBad}});
  const auto plain = lines_of(table.render(Style(false, 100), ""));
  ASSERT_EQ(plain.size(), 5u);
  EXPECT_EQ(plain[2], "two lines  ok");
  EXPECT_EQ(plain[3], plain[1]);
  const auto coloured = lines_of(table.render(Style(true, 100), ""));
  ASSERT_EQ(coloured.size(), 5u);
  EXPECT_EQ(coloured[2], "two lines  \x1b[32mok\x1b[0m");
}

}  // namespace
}  // namespace tca::cli
