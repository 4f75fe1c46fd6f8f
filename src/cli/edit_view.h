// A message being written, on the screen: broken into rows, drawn over what was drawn before.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tca::cli {

struct ScreenSize {
  std::size_t columns = 80, rows = 24;
};

/// Rows of a text behind a prompt; rows after the first are indented as far. The last column stays free: terminals
/// disagree about what follows a character there.
class TextLayout {
 public:
  TextLayout(std::string_view text, std::size_t prompt_columns, std::size_t columns);

  struct Place {
    std::size_t row = 0, column = 0;  // columns count from the prompt's end
  };
  std::size_t num_rows() const { return rows_.size(); }
  /// What a row shows: tabs as spaces, broken bytes as U+FFFD.
  std::string shown(std::size_t row) const;
  Place place_of(std::size_t position) const;
  /// The position in a row that is nearest to a column.
  std::size_t position_at(std::size_t row, std::size_t column) const;

 private:
  struct Row {
    std::size_t begin = 0, end = 0;  // bytes; a line feed belongs to neither row
  };
  std::string_view text_;
  std::vector<Row> rows_;
};

/// Draws into a string of text and control sequences; knows where it left the cursor.
class EditView {
 public:
  /// prompt: as it is shown, prompt_columns wide. simple: a terminal that cannot move its cursor; there the text is
  /// written on, taken back by backspaces, or written again on a new line, and the cursor is always at its end.
  EditView(std::string prompt, std::size_t prompt_columns, bool simple)
      : prompt_(std::move(prompt)), prompt_columns_(prompt_columns), simple_(simple) {}

  /// From where the last drawing left the cursor to the text as it is now.
  std::string draw(std::string_view text, std::size_t cursor, const ScreenSize& screen);
  /// Leaves the text on the screen and begins a new line below it.
  std::string finish(std::string_view text, const ScreenSize& screen);
  /// The next drawing begins where the cursor is: something else was written.
  void forget();
  std::size_t prompt_columns() const { return prompt_columns_; }

 private:
  std::string draw_simple(std::string_view text);

  const std::string prompt_;
  const std::size_t prompt_columns_;
  const bool simple_;
  // What was drawn last: columns of each row, and where the cursor is. Nothing: no rows.
  std::vector<std::size_t> drawn_columns_;
  std::size_t cursor_row_ = 0, cursor_column_ = 0;
  bool begun_ = false;  // simple: the prompt is there
  std::string drawn_;   // simple: the text that is there
};

}  // namespace tca::cli
