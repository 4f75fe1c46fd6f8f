// Tables for the terminal: aligned columns, measured in code points, coloured after they were measured.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/terminal.h"

namespace tca::cli {

/// What reports are made for; fits a terminal of today and a page of text.
inline constexpr std::size_t kTableWidth = 100;

enum class CellStyle { kPlain, kBold, kDim, kGood, kBad };

struct Cell {
  std::string text;
  CellStyle style = CellStyle::kPlain;
};

struct Column {
  std::string header;
  bool right_aligned = false;
  bool shrinks = false;  // is clipped first where the table is too wide
};

class TextTable {
 public:
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// A row shorter than the columns is filled up with empty cells. Control characters are taken out of the cells.
  void add_row(std::vector<Cell> cells);
  /// A thin line between rows.
  void add_rule();
  /// At most max_width columns wide, as long as the columns that shrink allow it. Every line ends in a newline.
  std::string render(std::size_t max_width, const Style& style, const std::string& indent = "  ") const;

 private:
  std::vector<std::size_t> column_widths(std::size_t max_width) const;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;  // an empty row is a rule
};

}  // namespace tca::cli
