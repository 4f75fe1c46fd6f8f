#include "cli/html/table.h"

#include <fmt/format.h>

#include "cli/format.h"

namespace tca::cli::html {

void HtmlTable::add_row(const std::vector<Markup>& cells) {
  Markup row;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i == 0) {
      row += element("th", {{"scope", "row"}}, cells[i]);
    } else {
      row += columns_[i].number ? element("td", {{"class", "number"}}, cells[i]) : element("td", cells[i]);
    }
  }
  rows_ += element("tr", row);
}

Markup HtmlTable::markup(const std::string& caption) const {
  return element("p", {{"class", "caption"}}, caption) + uncaptioned(caption);
}

Markup HtmlTable::uncaptioned(const std::string& name) const {
  Markup head;
  for (const TableColumn& column : columns_) {
    head += element("th", {{"scope", "col"}, {"class", column.number ? "number" : "words"}}, column.name);
  }
  const Markup table = element("table", element("thead", element("tr", head)) + element("tbody", rows_));
  // Reached by the keyboard, since it may have to be scrolled.
  return element("div", {{"class", "scroll"}, {"role", "region"}, {"aria-label", name}, {"tabindex", "0"}}, table);
}

Markup part_of(std::int64_t part, std::int64_t all) {
  return escaped(fmt::format("{} of {}", format_count(part), format_count(all)));
}

}  // namespace tca::cli::html
