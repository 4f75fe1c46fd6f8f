// Python's ways to format: "%s" % x, "{}".format(x) and format(x, ">10").
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

/// `format % arguments`: a tuple has an item for each directive, a dict is read by name, all else is one argument.
Value format_percent(Rendering& rendering, const Value& format, const Value& arguments);
/// `format.format(...)`
Value format_braces(Rendering& rendering, const Text& format, const Arguments& arguments);

/// Width, sign and precision of a directive.
struct Form {
  std::string_view fill = " ";  // one character, of text that outlives the form
  char align = '\0';            // '<', '>', '^', '='; '\0': as the value's type does
  char sign = '-';              // '-', '+', ' '
  bool is_alternate = false;
  std::int64_t width = 0;
  char group = '\0';  // between thousands
  std::int64_t precision = -1;
  char type = '\0';
};
/// The text in a field of the form's width.
Text pad(Rendering& rendering, const Text& text, const Form& form, char default_align);
/// Digits with sign and grouping; `body` has no sign.
Text format_number(Rendering& rendering, const Value& number, const Form& form);

}  // namespace tca::runtime::jinja
