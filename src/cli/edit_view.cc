#include "cli/edit_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/terminal.h"
#include "cli/utf8.h"

namespace tca::cli {

namespace {

constexpr std::size_t kTabColumns = 4;

struct Unit {
  std::size_t bytes = 1, columns = 1;
  bool broken = false;
};

// What stands at the beginning of a text that is not empty.
Unit first_unit(std::string_view text) {
  if (text.front() == '\t') return {1, kTabColumns};
  const CodePoint point = first_code_point(text);
  if (!point.valid) return {1, 1, true};
  return {point.bytes, code_point_width(point.value)};
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Unit unit = first_unit(text);
    columns += unit.columns;
    text.remove_prefix(unit.bytes);
  }
  return columns;
}

}  // namespace

TextLayout::TextLayout(std::string_view text, std::size_t prompt_columns, std::size_t columns) : text_(text) {
  const std::size_t room = std::max<std::size_t>(2, columns - std::min(columns, prompt_columns + 1));
  Row row;
  std::size_t used = 0, position = 0;
  while (position < text.size()) {
    if (text[position] == '\n') {
      row.end = position++;
      rows_.push_back(row);
      row.begin = position;
      used = 0;
      continue;
    }
    const Unit unit = first_unit(text.substr(position));
    if (used + unit.columns > room) {
      row.end = position;
      rows_.push_back(row);
      row.begin = position;
      used = 0;
    }
    used += unit.columns;
    position += unit.bytes;
  }
  row.end = text.size();
  rows_.push_back(row);
}

std::string TextLayout::shown(std::size_t row) const {
  std::string_view text = text_.substr(rows_[row].begin, rows_[row].end - rows_[row].begin);
  std::string shown;
  while (!text.empty()) {
    const Unit unit = first_unit(text);
    shown += text.front() == '\t' ? std::string(kTabColumns, ' ')
             : unit.broken        ? std::string("\xEF\xBF\xBD")
                                  : std::string(text.substr(0, unit.bytes));
    text.remove_prefix(unit.bytes);
  }
  return shown;
}

TextLayout::Place TextLayout::place_of(std::size_t position) const {
  std::size_t row = 0;
  while (row + 1 < rows_.size() && rows_[row + 1].begin <= position) ++row;
  return {row, columns_of(text_.substr(rows_[row].begin, position - rows_[row].begin))};
}

std::size_t TextLayout::position_at(std::size_t row, std::size_t column) const {
  std::size_t position = rows_[row].begin, columns = 0;
  // A row that was broken by its length ends one character before the next begins: there the cursor would be below.
  const bool broken = row + 1 < rows_.size() && rows_[row + 1].begin == rows_[row].end;
  while (position < rows_[row].end) {
    const Unit unit = first_unit(text_.substr(position));
    const bool last = position + unit.bytes >= rows_[row].end;
    if (columns + unit.columns > column || (broken && last)) break;
    columns += unit.columns;
    position += unit.bytes;
  }
  return position;
}

void EditView::forget() {
  drawn_columns_.clear();
  cursor_row_ = cursor_column_ = 0;
  begun_ = false;
  drawn_.clear();
}

std::string EditView::draw_simple(std::string_view text) {
  const std::string now(text);
  std::string out;
  if (!begun_) out = prompt_;
  begun_ = true;
  if (now.starts_with(drawn_)) {
    out += now.substr(drawn_.size());
  } else if (drawn_.starts_with(now) && drawn_.find('\n', now.size()) == std::string::npos) {
    for (std::size_t i = columns_of(std::string_view(drawn_).substr(now.size())); i > 0; --i) out += "\b \b";
  } else {
    out += "\r\n" + prompt_ + now;
  }
  drawn_ = now;
  std::string lines;
  for (const char c : out) lines += c == '\n' && !lines.ends_with('\r') ? std::string("\r\n") : std::string(1, c);
  return lines;
}

std::string EditView::draw(std::string_view text, std::size_t cursor, const ScreenSize& screen) {
  if (simple_) return draw_simple(text);
  const TextLayout layout(text, prompt_columns_, screen.columns);
  const TextLayout::Place place = layout.place_of(cursor);

  // Up to the first row. A terminal that became narrower has broken the rows it had, and the cursor's own.
  const std::size_t columns = std::max<std::size_t>(1, screen.columns);
  std::size_t up = cursor_column_ / columns;
  for (std::size_t row = 0; row < cursor_row_; ++row)
    up += std::max<std::size_t>(1, (drawn_columns_[row] + columns - 1) / columns);
  std::string out = "\r";
  if (up > 0) out += fmt::format("\x1b[{}A", up);
  out += "\x1b[J";

  // What fits on the screen around the cursor.
  const std::size_t height = std::max<std::size_t>(1, screen.rows - std::min<std::size_t>(1, screen.rows));
  const std::size_t last = std::min(layout.num_rows(), std::max(height, place.row + 1));
  const std::size_t first = last - std::min(last, height);
  drawn_columns_.clear();
  for (std::size_t row = first; row < last; ++row) {
    if (row > first) out += "\r\n";
    const std::string shown = layout.shown(row);
    out += (row == 0 ? prompt_ : std::string(prompt_columns_, ' ')) + shown;
    drawn_columns_.push_back(prompt_columns_ + display_width(shown));
  }
  cursor_row_ = place.row - first;
  cursor_column_ = prompt_columns_ + place.column;
  if (last - 1 > place.row) out += fmt::format("\x1b[{}A", last - 1 - place.row);
  out += "\r";
  if (cursor_column_ > 0) out += fmt::format("\x1b[{}C", cursor_column_);
  return out;
}

std::string EditView::finish(std::string_view text, const ScreenSize& screen) {
  std::string out = draw(text, text.size(), screen) + "\r\n";
  forget();
  return out;
}

}  // namespace tca::cli
