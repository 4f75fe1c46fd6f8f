#include "cli/text_table.h"

#include <algorithm>

namespace tca::cli {

namespace {

constexpr std::size_t kGap = 2;        // columns between columns
constexpr std::size_t kNarrowest = 8;  // a column that shrinks stays readable

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

std::size_t TextTable::natural_width(std::size_t column) const {
  std::size_t width = display_width(columns_[column].header);
  for (const auto& row : rows_) {
    if (!row.empty()) width = std::max(width, display_width(row[column].text));
  }
  return width;
}

// Which columns stand side by side: as many as fit, shrunk as far as they may, behind the key.
std::vector<TextTable::Places> TextTable::split(std::size_t max_width) const {
  Places key, others;
  for (std::size_t c = 0; c < columns_.size(); ++c) (columns_[c].key ? key : others).push_back(c);
  if (key.empty() && !others.empty()) {
    key.push_back(others.front());
    others.erase(others.begin());
  }
  const auto least = [&](std::size_t column) {
    const std::size_t width = natural_width(column);
    return columns_[column].shrinks ? std::min(width, kNarrowest) : width;
  };
  std::size_t key_width = 0;
  for (const std::size_t column : key) key_width += least(column) + kGap;
  std::vector<Places> parts = {key};
  std::size_t used = key_width;
  for (const std::size_t column : others) {
    if (parts.back().size() > key.size() && used + least(column) > max_width) {
      parts.push_back(key);
      used = key_width;
    }
    parts.back().push_back(column);
    used += least(column) + kGap;
  }
  return parts;
}

std::vector<std::size_t> TextTable::column_widths(const Places& places, std::size_t max_width) const {
  std::vector<std::size_t> widths;
  std::size_t total = places.empty() ? 0 : kGap * (places.size() - 1);
  for (const std::size_t column : places) {
    widths.push_back(natural_width(column));
    total += widths.back();
  }
  // Takes from the widest column that may shrink, one at a time, so that equal ones stay equal.
  while (total > max_width) {
    std::size_t widest = places.size();
    for (std::size_t i = 0; i < places.size(); ++i) {
      const bool can = columns_[places[i]].shrinks && widths[i] > kNarrowest;
      if (can && (widest == places.size() || widths[i] > widths[widest])) widest = i;
    }
    if (widest == places.size()) break;
    --widths[widest];
    --total;
  }
  return widths;
}

std::string TextTable::render_part(const Places& places, const Style& style, const std::string& indent) const {
  const std::size_t room = style.width() > indent.size() ? style.width() - indent.size() : 0;
  const std::vector<std::size_t> widths = column_widths(places, room);
  std::size_t total = widths.empty() ? 0 : kGap * (widths.size() - 1);
  for (const std::size_t width : widths) total += width;

  const auto line = [&](const auto& cell_of) {
    std::string text = indent;
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (i > 0) text += std::string(kGap, ' ');
      const Cell& source = cell_of(places[i]);
      const bool right = columns_[places[i]].right_aligned;
      std::string cell = clip(source.text, widths[i], style.glyphs().ellipsis);
      // No spaces at the end of a line: copied output stays clean.
      if (i + 1 < places.size() || right) cell = pad(cell, widths[i], right);
      text += styled(style, source.style, cell);
    }
    while (text.ends_with(' ')) text.pop_back();
    return text + "\n";
  };

  std::vector<Cell> header;
  for (const Column& column : columns_) header.push_back({column.header, CellStyle::kBold});
  const std::string rule = indent + style.dim(repeat(style.glyphs().rule, total)) + "\n";
  std::string text = line([&](std::size_t column) -> const Cell& { return header[column]; }) + rule;
  for (const auto& row : rows_) {
    text += row.empty() ? rule : line([&](std::size_t column) -> const Cell& { return row[column]; });
  }
  return text;
}

std::string TextTable::render(const Style& style, const std::string& indent) const {
  const std::size_t room = style.width() > indent.size() ? style.width() - indent.size() : 0;
  std::string text;
  for (const Places& part : split(room)) {
    if (!text.empty()) text += '\n';
    text += render_part(part, style, indent);
  }
  return text;
}

}  // namespace tca::cli
