// What an editor draws, on a terminal that obeys: the screen must show the text and the cursor where it is.
#include "cli/edit_view.h"

#include <gtest/gtest.h>

#include "cli/terminal.h"
#include "cli/utf8.h"

namespace tca::cli {
namespace {

// A terminal of the sequences that the view uses. A wide character takes its cell and an empty one.
class Screen {
 public:
  Screen(std::size_t columns, std::size_t rows) : columns_(columns), rows_(rows), cells_(1) {}

  void write(std::string_view text) {
    while (!text.empty()) {
      if (text.front() == '\x1b') {
        text.remove_prefix(sequence(text));
        continue;
      }
      const CodePoint point = first_code_point(text);
      put(text.substr(0, point.bytes), code_point_width(point.value));
      text.remove_prefix(point.bytes);
    }
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    for (const auto& row : cells_) {
      std::string line;
      for (const std::string& cell : row) line += cell;
      while (line.ends_with(' ')) line.pop_back();
      lines.push_back(line);
    }
    return lines;
  }
  std::size_t row() const { return row_; }
  std::size_t column() const { return column_; }
  ScreenSize size() const { return {columns_, rows_}; }

 private:
  std::size_t sequence(std::string_view text) {
    const std::size_t last = text.find_first_of("ABCDHJKm", 2);
    const std::size_t number = last > 2 ? std::stoul(std::string(text.substr(2, last - 2))) : 1;
    if (text[last] == 'A') {
      EXPECT_GE(row_, number);
      row_ -= std::min(row_, number);
    } else if (text[last] == 'C') {
      column_ += number;
      EXPECT_LT(column_, columns_);
    } else if (text[last] == 'J') {
      cells_.resize(row_ + 1);
      cells_[row_].resize(std::min(cells_[row_].size(), column_));
    } else {
      ADD_FAILURE() << "a sequence this terminal does not know: " << text.substr(1, last);
    }
    return last + 1;
  }
  void put(std::string_view what, std::size_t width) {
    if (what == "\r") {
      column_ = 0;
    } else if (what == "\n") {
      if (++row_ == cells_.size()) cells_.emplace_back();
    } else if (what == "\b") {
      --column_;
    } else {
      EXPECT_LE(column_ + width, columns_) << "written over the edge";
      auto& cells = cells_[row_];
      if (cells.size() < column_ + width) cells.resize(column_ + width, " ");
      cells[column_] = what;
      if (width == 2) cells[column_ + 1] = "";
      column_ += width;
    }
  }

  std::size_t columns_, rows_;
  std::vector<std::vector<std::string>> cells_;
  std::size_t row_ = 0, column_ = 0;
};

class View : public testing::Test {
 protected:
  void draw(const std::string& text, std::size_t cursor) { screen_.write(view_.draw(text, cursor, screen_.size())); }
  void expect(const std::vector<std::string>& lines, std::size_t row, std::size_t column) {
    EXPECT_EQ(screen_.lines(), lines);
    EXPECT_EQ(screen_.row(), row);
    EXPECT_EQ(screen_.column(), column);
  }
  Screen screen_{10, 6};
  EditView view_{"> ", 2, /*simple=*/false};
};

TEST_F(View, PromptAndText) {
  draw("", 0);
  expect({">"}, 0, 2);
  draw("hello", 5);
  expect({"> hello"}, 0, 7);
  draw("hello", 1);
  expect({"> hello"}, 0, 3);
  draw("hi", 2);
  expect({"> hi"}, 0, 4);
}

TEST_F(View, LongTextTakesRowsAndGivesThemBack) {
  draw("0123456789abcde", 15);  // seven columns a row: the last one stays free
  expect({"> 0123456", "  789abcd", "  e"}, 2, 3);
  draw("0123456789abcde", 7);  // in front of the 7, which begins a row
  expect({"> 0123456", "  789abcd", "  e"}, 1, 2);
  draw("012", 3);
  expect({"> 012"}, 0, 5);
}

TEST_F(View, WideCharactersAreNotBroken) {
  draw("日本語日本", 15);
  expect({"> 日本語", "  日本"}, 1, 6);
  draw("a日本語", 1);
  expect({"> a日本語"}, 0, 3);
}

TEST_F(View, LinesOfAMessage) {
  draw("one\n\ntwo", 4);
  expect({"> one", "", "  two"}, 1, 2);
  draw("one\n\ntwo", 8);
  expect({"> one", "", "  two"}, 2, 5);
}

TEST_F(View, TabsAndBrokenBytesHaveWidths) {
  draw("\ta\xFF", 3);
  expect({">     a\xEF\xBF\xBD"}, 0, 8);
}

TEST_F(View, WhatIsHigherThanTheScreenShowsTheCursor) {
  std::string text;
  for (int i = 0; i < 9; ++i) text += std::string(1, static_cast<char>('a' + i)) + "\n";
  text += "j";
  draw(text, text.size());  // five rows: one of the screen's stays free
  expect({"  f", "  g", "  h", "  i", "  j"}, 4, 3);
  draw(text, 0);
  expect({"> a", "  b", "  c", "  d", "  e"}, 0, 2);
}

TEST_F(View, FinishLeavesTheTextAndBeginsALine) {
  draw("0123456789", 3);
  screen_.write(view_.finish("0123456789", screen_.size()));
  expect({"> 0123456", "  789", ""}, 2, 0);
  draw("x", 1);
  expect({"> 0123456", "  789", "> x"}, 2, 3);
}

TEST_F(View, ANarrowerScreenIsDrawnFromItsTop) {
  Screen wide(20, 6);
  wide.write(view_.draw("0123456789", 10, {20, 6}));
  // The terminal breaks the row of 12 columns in two when it has 8: the cursor is one row lower than it was.
  const std::string again = view_.draw("0123456789", 10, {8, 6});
  EXPECT_TRUE(again.starts_with("\r\x1b[1A\x1b[J")) << again;
}

TEST(TextLayout, RowsUpAndDownKeepTheColumn) {
  const TextLayout layout("0123456789\nab", 2, 10);  // rows 0123456, 789, ab
  ASSERT_EQ(layout.num_rows(), 3u);
  EXPECT_EQ(layout.place_of(9).row, 1u);
  EXPECT_EQ(layout.place_of(9).column, 2u);
  EXPECT_EQ(layout.position_at(0, 2), 2u);
  EXPECT_EQ(layout.position_at(2, 2), 13u);
  EXPECT_EQ(layout.position_at(1, 6), 10u);  // a shorter row: its end
  EXPECT_EQ(layout.position_at(0, 9), 6u);   // its last character: behind it the next row begins
}

TEST(SimpleView, WritesOnAndTakesBack) {
  EditView view("> ", 2, /*simple=*/true);
  const ScreenSize size;
  EXPECT_EQ(view.draw("", 0, size), "> ");
  EXPECT_EQ(view.draw("ab", 2, size), "ab");
  EXPECT_EQ(view.draw("ab日", 5, size), "日");
  EXPECT_EQ(view.draw("ab", 2, size), "\b \b\b \b");
  EXPECT_EQ(view.draw("other", 5, size), "\r\n> other");
  EXPECT_EQ(view.finish("other", size), "\r\n");
}

}  // namespace
}  // namespace tca::cli
