// Tables for the terminal: aligned columns, measured in code points, coloured after they were measured.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/terminal.h"

namespace tca::cli {

enum class CellStyle { kPlain, kBold, kDim, kGood, kBad };

struct Cell {
  std::string text;
  CellStyle style = CellStyle::kPlain;
};

struct Column {
  std::string header;
  bool right_aligned = false;
  bool shrinks = false;  // is clipped first where the table is too wide
  bool key = false;      // names the row: repeated where columns stand below each other; none is: the first column
};

class TextTable {
 public:
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// A row shorter than the columns is filled up with empty cells. Control characters are taken out of the cells.
  void add_row(std::vector<Cell> cells);
  /// A thin line between rows.
  void add_rule();
  /// As wide as the style at most: columns that may shrink do, then columns that do not fit stand in a table of their
  /// own below, each behind the key. Every line ends in a newline.
  std::string render(const Style& style, const std::string& indent = "  ") const;

 private:
  using Places = std::vector<std::size_t>;  // of columns
  std::size_t natural_width(std::size_t column) const;
  std::vector<Places> split(std::size_t max_width) const;
  std::vector<std::size_t> column_widths(const Places& places, std::size_t max_width) const;
  std::string render_part(const Places& places, const Style& style, const std::string& indent) const;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;  // an empty row is a rule
};

}  // namespace tca::cli
