// Tables of a page, which scroll inside where the page is too narrow for them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/html/markup.h"

namespace tca::cli::html {

struct TableColumn {
  std::string name = {};
  bool number = false;  // right-aligned
};

class HtmlTable {
 public:
  explicit HtmlTable(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}
  /// As many cells as columns. The first one names the row.
  void add_row(const std::vector<Markup>& cells);
  /// caption: what the table holds; shown above it, and not scrolled with it.
  Markup markup(const std::string& caption) const;
  /// Under a heading that says it: the name is only heard.
  Markup uncaptioned(const std::string& name) const;

 private:
  std::vector<TableColumn> columns_;
  Markup rows_;
};

/// "84 of 97"
Markup part_of(std::int64_t part, std::int64_t all);

}  // namespace tca::cli::html
