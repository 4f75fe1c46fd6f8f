#include "runtime/jinja/string_methods.h"

#include <algorithm>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/arguments.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/dict.h"
#include "runtime/jinja/format.h"
#include "runtime/jinja/methods.h"
#include "runtime/jinja/operators.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/sequence.h"

namespace tca::runtime::jinja {
namespace {

template <Text (*change)(const Text&)>
Value changed(Rendering& rendering, const Value& self, const Arguments& arguments) {
  Bound("a method of a string", arguments, {});
  rendering.count_bytes(self.text().size() * 3);
  return Value::string(change(self.text()));
}

template <bool left, bool right>
Value strip_method(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("strip", arguments, {""});
  return Value::string(strip(rendering, self.text(), bound.has_value(0) ? &bound.text(0) : nullptr, left, right));
}

Value replace_method(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"", "", ""}, 2);
  return Value::string(replace(rendering, self.text(), bound.text(0), bound.text(1), bound.integer(2, -1)));
}

Value join_method(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("join", arguments, {""}, 1);
  TextBuilder out(rendering);
  Cursor cursor(rendering, *bound[0]);
  bool is_first = true;
  for (Value item; cursor.next(item); is_first = false) {
    check_argument(item.is_string(), "join: expected str instance, ", type_name(item), " found");
    check_supported(!item.is_markup(), "joining escaped text");
    if (!is_first) out.append(self.text());
    out.append(item.text());
  }
  return out.value();
}

Value format_method(Rendering& rendering, const Value& self, const Arguments& arguments) {
  return format_braces(rendering, self.text(), arguments);
}

Value lines_method(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("splitlines", arguments, {"keepends"});
  Value::Items items;
  for (Text& line : split_lines(rendering, self.text(), bound.truth(rendering, 0))) {
    items.push_back(Value::string(std::move(line)));
  }
  return Value::list(std::move(items));
}

std::string fill_of(const Bound& bound) {
  if (!bound.has(1)) return " ";
  check_argument(length_of(bound.text(1).bytes()) == 1, "The fill character must be exactly one character long");
  return bound.text(1).bytes();
}

Value center_method(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("center", arguments, {"", ""}, 1);
  return Value::string(center(rendering, self.text(), bound.integer(0, 0), fill_of(bound)));
}

template <char align>
Value justify(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("ljust or rjust", arguments, {"", ""}, 1);
  Form form;
  const std::string fill = fill_of(bound);
  form.fill = fill;
  form.width = bound.integer(0, 0);
  return Value::string(pad(rendering, self.text(), form, align));
}

Value zfill(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("zfill", arguments, {""}, 1);
  const Text& text = self.text();
  const std::int64_t missing = bound.integer(0, 0) - static_cast<std::int64_t>(length_of(text.bytes()));
  const bool has_sign = !text.empty() && (text.bytes()[0] == '+' || text.bytes()[0] == '-');
  TextBuilder out(rendering);
  out.append(text, 0, has_sign ? 1 : 0);
  out.append(repeat(rendering, Text("0"), missing));
  out.append(text, has_sign ? 1 : 0, text.size());
  return out.value();
}

template <bool is_prefix>
Value remove_affix(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("removeprefix or removesuffix", arguments, {""}, 1);
  const Text& text = self.text();
  const std::string& affix = bound.text(0).bytes();
  rendering.count_bytes(text.size());
  const bool has = text.size() >= affix.size() &&
                   text.bytes().compare(is_prefix ? 0 : text.size() - affix.size(), affix.size(), affix) == 0;
  if (!has) return self;
  return Value::string(is_prefix ? text.slice(affix.size(), text.size()) : text.slice(0, text.size() - affix.size()));
}

Value expand_tabs(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("expandtabs", arguments, {"tabsize"});
  const std::int64_t size = bound.integer(0, 8);
  const Text& text = self.text();
  TextBuilder out(rendering);
  std::int64_t column = 0;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t begin = position;
    const char32_t c = next_code_point(text.bytes(), position);
    if (c == '\t') {
      const std::int64_t spaces = size <= 0 ? 0 : size - column % size;
      out.append(repeat(rendering, Text(" ", text.origin_at(begin)), spaces));
      column += spaces;
      continue;
    }
    out.append(text, begin, position);
    column = c == '\n' || c == '\r' ? 0 : column + 1;
  }
  return out.value();
}

// All characters are so, and there is one.
template <bool (*test)(char32_t), bool of_nothing = false>
Value all_characters(Rendering& rendering, const Value& self, const Arguments& arguments) {
  Bound("a method of a string", arguments, {});
  const std::string& bytes = self.text().bytes();
  rendering.step(static_cast<std::int64_t>(bytes.size() / 16));
  bool result = of_nothing || !bytes.empty();
  for (std::size_t position = 0; result && position < bytes.size();) result = test(next_code_point(bytes, position));
  return Value::boolean(result);
}

bool is_alphanumeric(char32_t c) {
  if (is_alphabetic(c) || is_digit(c)) return true;
  return is_word(c) && c != '_';
}
bool is_ascii(char32_t c) { return c < 0x80; }

Value is_title_case(Rendering& rendering, const Value& self, const Arguments& arguments) {
  Bound("istitle", arguments, {});
  const std::string& bytes = self.text().bytes();
  rendering.step(static_cast<std::int64_t>(bytes.size() / 16));
  bool has_cased = false;
  bool after_cased = false;
  for (std::size_t position = 0; position < bytes.size();) {
    const char32_t c = next_code_point(bytes, position);
    const bool begins = is_upper(c) || is_title(c);
    if (begins ? after_cased : is_lower(c) && !after_cased) return Value::boolean(false);
    after_cased = begins || is_lower(c);
    has_cased = has_cased || after_cased;
  }
  return Value::boolean(has_cased);
}

template <bool is_lower_case>
Value is_case(Rendering& rendering, const Value& self, const Arguments& arguments) {
  Bound("islower or isupper", arguments, {});
  const std::string& bytes = self.text().bytes();
  rendering.step(static_cast<std::int64_t>(bytes.size() / 16));
  bool has_cased = false;
  for (std::size_t position = 0; position < bytes.size();) {
    const char32_t c = next_code_point(bytes, position);
    if ((is_lower_case ? is_upper(c) : is_lower(c)) || is_title(c)) return Value::boolean(false);
    has_cased = has_cased || (is_lower_case ? is_lower(c) : is_upper(c));
  }
  return Value::boolean(has_cased);
}

}  // namespace

Text strip(Rendering& rendering, const Text& text, const Text* characters, bool left, bool right) {
  const std::string& bytes = text.bytes();
  const auto goes = [&](std::size_t begin, std::size_t end) {
    std::size_t position = begin;
    if (characters == nullptr) return is_space(next_code_point(bytes, position));
    const std::string_view character = std::string_view(bytes).substr(begin, end - begin);
    return characters->bytes().find(character) != std::string::npos;
  };
  std::size_t begin = 0;
  std::size_t end = bytes.size();
  for (std::size_t next = begin; left && begin < end; begin = next) {
    next_code_point(bytes, next);
    if (!goes(begin, next)) break;
  }
  for (std::size_t start = end; right && end > begin; end = start) {
    start = previous_start(bytes, end);
    if (!goes(start, end)) break;
  }
  TextBuilder out(rendering);
  out.append(text, begin, end);
  return out.take();
}

Text replace(Rendering& rendering, const Text& text, const Text& old_text, const Text& new_text, std::int64_t count) {
  const std::string& bytes = text.bytes();
  TextBuilder out(rendering);
  std::size_t copied = 0;
  for (std::size_t position = 0; count != 0; --count) {
    std::size_t found = old_text.empty() ? position : bytes.find(old_text.bytes(), position);
    if (found == std::string::npos || found > bytes.size()) break;
    rendering.step();
    out.append(text, copied, found);
    out.append(new_text);
    copied = found + old_text.size();
    position = copied;
    if (old_text.empty()) {  // between all characters
      if (found == bytes.size()) break;
      next_code_point(bytes, position);
    }
  }
  out.append(text, copied, bytes.size());
  return out.take();
}

std::vector<Text> split_lines(Rendering& rendering, const Text& text, bool keeps_ends) {
  const auto is_break = [](char32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
  };
  const std::string& bytes = text.bytes();
  rendering.count_bytes(bytes.size());
  std::vector<Text> lines;
  const auto add = [&](std::size_t begin, std::size_t end) {
    rendering.step();
    rendering.count_bytes(sizeof(Text) + sizeof(Value));
    lines.push_back(text.slice(begin, end));
  };
  std::size_t begin = 0;
  for (std::size_t position = 0; position < bytes.size();) {
    const std::size_t end = position;
    const char32_t c = next_code_point(bytes, position);
    if (!is_break(c)) continue;
    if (c == '\r' && position < bytes.size() && bytes[position] == '\n') ++position;
    add(begin, keeps_ends ? position : end);
    begin = position;
  }
  if (begin < bytes.size()) add(begin, bytes.size());
  return lines;
}

Text center(Rendering& rendering, const Text& text, std::int64_t width, const std::string& fill) {
  const auto length = static_cast<std::int64_t>(length_of(text.bytes()));
  if (width <= length) return text;
  const std::int64_t room = width - length;
  const std::int64_t left = room / 2 + (room & width & 1);
  TextBuilder out(rendering);
  out.append(repeat(rendering, Text(fill), left));
  out.append(text);
  out.append(repeat(rendering, Text(fill), room - left));
  return out.take();
}

const std::vector<Method>& string_methods() {
  static const std::vector<Method> kMethods = {{"strip", strip_method<true, true>},
                                               {"lstrip", strip_method<true, false>},
                                               {"rstrip", strip_method<false, true>},
                                               {"replace", replace_method},
                                               {"join", join_method},
                                               {"format", format_method},
                                               {"splitlines", lines_method},
                                               {"upper", changed<to_upper>},
                                               {"lower", changed<to_lower>},
                                               {"title", changed<to_title>},
                                               {"capitalize", changed<to_capitalized>},
                                               {"swapcase", changed<to_swapped_case>},
                                               {"center", center_method},
                                               {"ljust", justify<'<'>},
                                               {"rjust", justify<'>'>},
                                               {"zfill", zfill},
                                               {"removeprefix", remove_affix<true>},
                                               {"removesuffix", remove_affix<false>},
                                               {"expandtabs", expand_tabs},
                                               {"isalpha", all_characters<is_alphabetic>},
                                               {"isalnum", all_characters<is_alphanumeric>},
                                               {"isdigit", all_characters<is_digit>},
                                               {"isdecimal", all_characters<is_decimal>},
                                               {"isspace", all_characters<is_space>},
                                               {"isascii", all_characters<is_ascii, true>},
                                               {"islower", is_case<true>},
                                               {"isupper", is_case<false>},
                                               {"istitle", is_title_case},
                                               {"casefold", nullptr},
                                               {"encode", nullptr},
                                               {"format_map", nullptr},
                                               {"isidentifier", nullptr},
                                               {"isnumeric", nullptr},
                                               {"isprintable", all_characters<is_printable, true>},
                                               {"maketrans", nullptr},
                                               {"translate", nullptr}};
  return kMethods;
}

}  // namespace tca::runtime::jinja
