// Filters that make text of text.
#include <algorithm>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/arguments.h"
#include "runtime/jinja/attributes.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/format.h"
#include "runtime/jinja/item_getter.h"
#include "runtime/jinja/operators.h"
#include "runtime/jinja/registry.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/sequence.h"
#include "runtime/jinja/show.h"
#include "runtime/jinja/string_methods.h"
#include "runtime/jinja/tojson.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

// Escaped text stays escaped text.
Value like(const Value& input, Text text) {
  return input.is_markup() ? Value::markup(std::move(text)) : Value::string(std::move(text));
}

template <Text (*change)(const Text&)>
Value changed(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("a filter", arguments, {});
  const Text text = to_text(rendering, input);
  rendering.count_bytes(text.size() * 3);
  return like(input, change(text));
}

Value trim(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("trim", arguments, {"chars"});
  return like(input, strip(rendering, to_text(rendering, input), bound.has_value(0) ? &bound.text(0) : nullptr));
}

Value replace_filter(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"old", "new", "count"}, 2);
  const std::int64_t count = bound.has_value(2) ? bound.integer(2, -1) : -1;
  return Value::string(replace(rendering, to_text(rendering, input), to_text(rendering, *bound[0]),
                               to_text(rendering, *bound[1]), count));
}

// Words begin after white space and - ( { [ <.
Value title(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("title", arguments, {});
  const Text text = to_text(rendering, input);
  const std::string& bytes = text.bytes();
  const auto is_boundary = [](char32_t c) {
    return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  TextBuilder out(rendering);
  for (std::size_t position = 0; position < bytes.size();) {
    rendering.step();
    const std::size_t begin = position;
    const char32_t first = next_code_point(bytes, position);
    const std::size_t behind_first = position;
    for (std::size_t next = position; position < bytes.size(); position = next) {
      if (is_boundary(next_code_point(bytes, next)) != is_boundary(first)) break;
    }
    out.append(to_upper(text.slice(begin, behind_first)));
    out.append(to_lower(text.slice(behind_first, position)));
  }
  return out.value();
}

Value escape(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("escape", arguments, {});
  return Value::markup(escape_html(rendering, input));
}

Value force_escape(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("forceescape", arguments, {});
  return Value::markup(escape_html(rendering, Value::string(to_text(rendering, input))));
}

Value safe(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("safe", arguments, {});
  return Value::markup(to_text(rendering, input));
}

Value string(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("string", arguments, {});
  return input.is_string() ? input : Value::string(to_text(rendering, input));
}

Value indent(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("indent", arguments, {"width", "first", "blank"});
  check_argument(!input.is(Kind::kUndefined), input.undefined_message());
  check_supported(!input.is_markup(), "indenting escaped text");
  Text text = text_of(input, "indent");
  const bool is_text = bound.has(0) && bound[0]->is_string();
  const Text indention = is_text ? bound.text(0) : repeat(rendering, Text(" "), bound.integer(0, 4));
  const bool blank = bound.truth(rendering, 2);
  text.append("\n", Origin::kTrusted);
  TextBuilder out(rendering);
  if (bound.truth(rendering, 1)) out.append(indention);
  bool is_first = true;
  for (const Text& line : split_lines(rendering, text, false)) {
    if (!is_first) out.append("\n");
    if (!is_first && (blank || !line.empty())) out.append(indention);
    out.append(line);
    is_first = false;
  }
  return out.value();
}

Value center_filter(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("center", arguments, {"width"});
  return like(input, center(rendering, to_text(rendering, input), bound.integer(0, 80)));
}

Value truncate(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const Text end = bound.has(2) ? bound.text(2) : Text("...");
  const std::int64_t length = bound.integer(0, 255);
  const std::int64_t leeway = bound.has_value(3) ? bound.integer(3, 5) : 5;
  const auto end_length = static_cast<std::int64_t>(length_of(end.bytes()));
  check_argument(length >= end_length, "truncate: expected length >= ", end_length, ", got ", length);
  check_argument(leeway >= 0, "truncate: expected leeway >= 0, got ", leeway);
  const auto size = jinja::length(rendering, input);
  if (size && (*size <= length || *size - length <= leeway)) return input;  // whatever it is
  const Text& text = text_of(input, "truncate");
  check_supported(!input.is_markup(), "truncating escaped text");
  std::size_t kept = byte_of(text.bytes(), static_cast<std::size_t>(length - end_length));
  if (!bound.truth(rendering, 1)) {
    const std::size_t space = std::string_view(text.bytes()).substr(0, kept).rfind(' ');
    if (space != std::string_view::npos) kept = space;
  }
  TextBuilder out(rendering);
  out.append(text, 0, kept);
  out.append(end);
  return out.value();
}

Value word_count(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("wordcount", arguments, {});
  const Text text = to_text(rendering, input);
  rendering.step(static_cast<std::int64_t>(text.size() / 16));
  std::int64_t count = 0;
  bool in_word = false;
  for (std::size_t position = 0; position < text.size();) {
    const bool is_part = is_word(next_code_point(text.bytes(), position));
    count += is_part && !in_word;
    in_word = is_part;
  }
  return Value::integer(count);
}

Value format_filter(Rendering& rendering, const Value& input, const Arguments& arguments) {
  check_argument(arguments.named.empty() || arguments.positional.empty(),
                 "format: can't handle positional and keyword arguments at the same time");
  const Value values = arguments.named.empty() ? Value::tuple(arguments.positional) : Value::dict(arguments.named);
  return format_percent(rendering, input.is_string() ? input : Value::string(to_text(rendering, input)), values);
}

void quote_url(Rendering& rendering, TextBuilder& out, const Value& value, bool in_query) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  const Text text = to_text(rendering, value);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    const bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    const auto byte = static_cast<unsigned char>(c);
    std::string shown;
    if (is_letter || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' || c == '~' ||
        (c == '/' && !in_query)) {
      shown = c;
    } else if (c == ' ' && in_query) {
      shown = '+';
    } else {
      shown = {'%', kDigits[byte >> 4], kDigits[byte & 0xF]};
    }
    out.append(shown, text.origin_at(i));
  }
}

Value url_encode(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("urlencode", arguments, {});
  TextBuilder out(rendering);
  if (input.is_string() || !is_iterable(input, rendering)) {
    quote_url(rendering, out, input, false);
    return out.value();
  }
  Cursor cursor(rendering, input.is(Kind::kDict) ? make_view(rendering, input, ViewKind::kItems) : input);
  for (Value pair; cursor.next(pair);) {
    const Value::Items parts = to_items(rendering, pair);
    check_argument(parts.size() == 2, "urlencode: a pair has ", parts.size(), " items; 2 are required");
    if (!out.text().empty()) out.append("&");
    quote_url(rendering, out, parts[0], true);
    out.append("=");
    quote_url(rendering, out, parts[1], true);
  }
  return out.value();
}

Value join(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("join", arguments, {"d", "attribute"});
  const ItemGetter getter(bound.get(1, Value::none()));
  const Text separator = bound.has(0) ? to_text(rendering, *bound[0]) : Text();
  TextBuilder out(rendering);
  Cursor cursor(rendering, input);
  bool is_first = true;
  for (Value item; cursor.next(item); is_first = false) {
    if (!is_first) out.append(separator);
    out.append(to_text(rendering, getter(rendering, item)));
  }
  return out.value();
}

Value to_json_filter(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonForm form;
  form.ensure_ascii = bound.truth(rendering, 0);
  if (bound.has_value(1)) {
    const Text indent = bound[1]->is_string() ? bound[1]->text() : repeat(rendering, Text(" "), bound.integer(1, 0));
    form.indent = indent.bytes();
    form.item_separator = Text(",");
  }
  if (bound.has_value(2)) {
    const Value::Items separators = to_items(rendering, *bound[2]);
    check_argument(separators.size() == 2, "tojson: separators has ", separators.size(), " items; 2 are required");
    form.item_separator = text_of(separators[0], "tojson: separators");
    form.key_separator = text_of(separators[1], "tojson: separators");
  }
  form.sorts_keys = bound.truth(rendering, 3);
  return Value::string(to_json(rendering, input, form));
}

}  // namespace

const std::vector<Filter>& text_filters() {
  static const std::vector<Filter> kFilters = {{"upper", changed<to_upper>},
                                               {"lower", changed<to_lower>},
                                               {"capitalize", changed<to_capitalized>},
                                               {"title", title},
                                               {"trim", trim},
                                               {"replace", replace_filter},
                                               {"escape", escape},
                                               {"e", escape},
                                               {"forceescape", force_escape},
                                               {"safe", safe},
                                               {"string", string},
                                               {"indent", indent},
                                               {"center", center_filter},
                                               {"truncate", truncate},
                                               {"wordcount", word_count},
                                               {"format", format_filter},
                                               {"urlencode", url_encode},
                                               {"join", join},
                                               {"tojson", to_json_filter}};
  return kFilters;
}

}  // namespace tca::runtime::jinja
