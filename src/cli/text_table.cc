#include "cli/text_table.h"

#include <algorithm>

namespace tca::cli {

namespace {

constexpr std::size_t kGap = 2;        // columns between columns
constexpr std::size_t kNarrowest = 8;  // a column that shrinks stays readable
constexpr std::string_view kRuleGlyph = "─";

std::string repeat(std::string_view glyph, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += glyph;
  return text;
}

std::string styled(const Style& style, CellStyle cell_style, const std::string& text) {
  switch (cell_style) {
    case CellStyle::kPlain:
      return text;
    case CellStyle::kBold:
      return style.bold(text);
    case CellStyle::kDim:
      return style.dim(text);
    case CellStyle::kGood:
      return style.good(text);
    case CellStyle::kBad:
      return style.bad(text);
  }
  return text;
}

}  // namespace

void TextTable::add_row(std::vector<Cell> cells) {
  cells.resize(columns_.size());
  for (Cell& cell : cells) cell.text = one_line(cell.text);
  rows_.push_back(std::move(cells));
}

void TextTable::add_rule() { rows_.emplace_back(); }

std::vector<std::size_t> TextTable::column_widths(std::size_t max_width) const {
  std::vector<std::size_t> widths;
  std::size_t total = columns_.empty() ? 0 : kGap * (columns_.size() - 1);
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = display_width(columns_[c].header);
    for (const auto& row : rows_) {
      if (!row.empty()) width = std::max(width, display_width(row[c].text));
    }
    widths.push_back(width);
    total += width;
  }
  // Takes from the widest column that may shrink, one at a time, so that equal ones stay equal.
  while (total > max_width) {
    std::size_t widest = columns_.size();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const bool can = columns_[c].shrinks && widths[c] > kNarrowest;
      if (can && (widest == columns_.size() || widths[c] > widths[widest])) widest = c;
    }
    if (widest == columns_.size()) break;
    --widths[widest];
    --total;
  }
  return widths;
}

std::string TextTable::render(std::size_t max_width, const Style& style, const std::string& indent) const {
  const std::size_t room = max_width > indent.size() ? max_width - indent.size() : 0;
  const std::vector<std::size_t> widths = column_widths(room);
  std::size_t total = widths.empty() ? 0 : kGap * (widths.size() - 1);
  for (const std::size_t width : widths) total += width;

  const auto line = [&](const std::vector<Cell>& cells) {
    std::string text = indent;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      if (c > 0) text += std::string(kGap, ' ');
      std::string cell = clip(cells[c].text, widths[c]);
      // No spaces at the end of a line: copied output stays clean.
      if (c + 1 < cells.size() || columns_[c].right_aligned) cell = pad(cell, widths[c], columns_[c].right_aligned);
      text += styled(style, cells[c].style, cell);
    }
    while (text.ends_with(' ')) text.pop_back();
    return text + "\n";
  };

  std::vector<Cell> header;
  for (const Column& column : columns_) header.push_back({column.header, CellStyle::kBold});
  const std::string rule = indent + style.dim(repeat(kRuleGlyph, total)) + "\n";
  std::string text = line(header) + rule;
  for (const auto& row : rows_) text += row.empty() ? rule : line(row);
  return text;
}

}  // namespace tca::cli
