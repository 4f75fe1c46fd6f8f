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
  EXPECT_EQ(table.render(100, Style(false), ""),
            "name   count\n"
            "────────────\n"
            "größe      7\n"
            "x      1,000\n");
}

TEST(TextTable, NoSpacesAtLineEnds) {
  TextTable table({{"a"}, {"note"}});
  table.add_row({{"x"}});
  table.add_row({{"x"}, {"longer than the header"}});
  for (const std::string& line : lines_of(table.render(100, Style(false)))) EXPECT_FALSE(line.ends_with(' ')) << line;
}

TEST(TextTable, ShrinksWhatMayShrinkToTheWidth) {
  TextTable table({{"question", false, true}, {"fixed"}, {"answer", false, true}});
  table.add_row({{std::string(60, 'q')}, {"0123456789"}, {std::string(50, 'a')}});
  for (const std::string& line : lines_of(table.render(60, Style(false)))) EXPECT_LE(display_width(line), 60u) << line;
  const std::string row = lines_of(table.render(60, Style(false))).back();
  EXPECT_NE(row.find("0123456789"), std::string::npos);
  EXPECT_NE(row.find("…"), std::string::npos);
}

TEST(TextTable, FixedColumnsAreNeverCut) {
  TextTable table({{"a"}, {"b"}});
  table.add_row({{std::string(30, 'x')}, {std::string(30, 'y')}});
  EXPECT_EQ(display_width(lines_of(table.render(20, Style(false), "")).back()), 62u);
}

TEST(TextTable, CellsAreOneLineAndColourChangesNoWidth) {
  TextTable table({{"said"}, {"mark"}});
  table.add_row({{"two\nlines"}, {"ok", CellStyle::kGood}});
  table.add_rule();
  table.add_row({{"next"}, {"miss", CellStyle::kBad}});
  const auto plain = lines_of(table.render(100, Style(false), ""));
  ASSERT_EQ(plain.size(), 5u);
  EXPECT_EQ(plain[2], "two lines  ok");
  EXPECT_EQ(plain[3], plain[1]);
  const auto coloured = lines_of(table.render(100, Style(true), ""));
  ASSERT_EQ(coloured.size(), 5u);
  EXPECT_EQ(coloured[2], "two lines  \x1b[32mok\x1b[0m");
}

}  // namespace
}  // namespace tca::cli
