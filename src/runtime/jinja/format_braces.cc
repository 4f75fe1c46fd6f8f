#include <optional>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/attributes.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/format.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }
bool is_digit_character(char c) { return c >= '0' && c <= '9'; }

Form parse_form(std::string_view spec) {
  Form form;
  std::size_t position = 0;
  const auto peek = [&] { return position < spec.size() ? spec[position] : '\0'; };
  const auto number = [&] {
    std::int64_t result = 0;
    for (; is_digit_character(peek()); ++position) {
      result = result * 10 + (peek() - '0');
      check_supported(result < (1 << 30), "a format's width or precision beyond 2^30");
    }
    return result;
  };
  if (!spec.empty()) {
    std::size_t fill_end = 0;
    next_code_point(spec, fill_end);
    if (fill_end < spec.size() && is_align(spec[fill_end])) {
      form.fill = spec.substr(0, fill_end);
      form.align = spec[fill_end];
      position = fill_end + 1;
    } else if (is_align(peek())) {
      form.align = spec[position++];
    }
  }
  if (peek() == '+' || peek() == '-' || peek() == ' ') form.sign = spec[position++];
  check_supported(peek() != 'z', "the format option 'z'");
  if (peek() == '#') form.is_alternate = ++position > 0;
  if (peek() == '0' && form.align == '\0') {
    form.fill = "0";
    form.align = '=';
    ++position;
  }
  form.width = number();
  if (peek() == ',' || peek() == '_') form.group = spec[position++];
  if (peek() == '.') {
    ++position;
    check_argument(is_digit_character(peek()), "Format specifier missing precision");
    form.precision = number();
  }
  if (position < spec.size()) form.type = spec[position++];
  check_argument(position == spec.size(), "Invalid format specifier");
  return form;
}

Text format_text(Rendering& rendering, Text text, const Form& form) {
  check_argument(form.type == '\0' || form.type == 's', "Unknown format code '", form.type,
                 "' for object of type 'str'");
  check_argument(
      form.sign == '-' && !form.is_alternate && form.group == '\0' && (form.align != '=' || form.fill == "0"),
      "a sign, '#', ',' or '=' is not allowed in a string's format");
  check_supported(form.align != '=', "zeros to fill up a string's format");
  const auto precision = static_cast<std::size_t>(form.precision);
  if (form.precision >= 0 && length_of(text.bytes()) > precision)
    text = text.slice(0, byte_of(text.bytes(), precision));
  return pad(rendering, text, form, '<');
}

Text format_value(Rendering& rendering, const Value& value, std::string_view spec) {
  if (spec.empty()) return to_text(rendering, value);
  check_argument(!value.is(Kind::kUndefined), value.undefined_message());
  if (value.is_string()) return format_text(rendering, value.text(), parse_form(spec));
  if (value.is_number()) {
    Form form = parse_form(spec);
    check_argument(form.type != 's', "Unknown format code 's' for object of type '", type_name(value), "'");
    // A bool with a form that has no type is shown as an integer.
    return format_number(rendering, value.is(Kind::kBool) ? Value::integer(value.as_integer()) : value, form);
  }
  fail(ErrorCategory::kInvalidArgument, text("unsupported format string passed to ", type_name(value), ".__format__"));
}

class BraceFormatter {
 public:
  BraceFormatter(Rendering& rendering, const Text& format, const Arguments& arguments)
      : rendering_(rendering), arguments_(arguments), whole_(format) {}

  Text run() { return expand(whole_, 2); }

 private:
  // depth: how often a format may still hold fields in a field's form.
  Text expand(const Text& format, int depth) {
    check_argument(depth > 0, "Max string recursion exceeded");
    TextBuilder out(rendering_);
    const std::string& bytes = format.bytes();
    for (std::size_t position = 0; position < bytes.size();) {
      rendering_.step();
      const std::size_t brace = std::min(bytes.find_first_of("{}", position), bytes.size());
      out.append(format, position, brace);
      position = brace;
      if (position == bytes.size()) break;
      const bool is_doubled = position + 1 < bytes.size() && bytes[position + 1] == bytes[position];
      if (is_doubled) {
        out.append(format, position, position + 1);
        position += 2;
        continue;
      }
      check_argument(bytes[position] == '{', "Single '}' encountered in format string");
      const std::size_t end = field_end(bytes, position + 1);
      out.append(field(format.slice(position + 1, end), depth));
      position = end + 1;
    }
    return out.take();
  }

  static std::size_t field_end(const std::string& bytes, std::size_t position) {
    int open = 1;
    bool in_brackets = false;
    for (; position < bytes.size(); ++position) {
      const char c = bytes[position];
      if (c == '[' && open == 1) in_brackets = true;
      if (c == ']') in_brackets = false;
      if (in_brackets) continue;
      open += c == '{' ? 1 : c == '}' ? -1 : 0;
      if (open == 0) return position;
    }
    fail(ErrorCategory::kInvalidArgument, "expected '}' before end of string");
  }

  Text field(const Text& field, int depth) {
    const std::string& bytes = field.bytes();
    std::size_t name_end = 0;
    for (bool in_brackets = false; name_end < bytes.size(); ++name_end) {
      const char c = bytes[name_end];
      if (c == '[') in_brackets = true;
      if (c == ']') in_brackets = false;
      if (!in_brackets && (c == '!' || c == ':')) break;
    }
    Value value = lookup(bytes.substr(0, name_end));
    std::size_t position = name_end;
    if (position < bytes.size() && bytes[position] == '!') {
      const char conversion = position + 1 < bytes.size() ? bytes[position + 1] : '\0';
      position += 2;
      check_argument(conversion != '\0' && (position >= bytes.size() || bytes[position] == ':'),
                     "expected ':' after conversion specifier");
      check_supported(conversion != 'a', "the conversion '!a'");
      check_argument(conversion == 's' || conversion == 'r', "Unknown conversion specifier ", conversion);
      value = Value::string(conversion == 'r' ? repr(rendering_, value) : to_text(rendering_, value));
    }
    Text spec;
    if (position < bytes.size()) spec = expand(field.slice(position + 1, bytes.size()), depth - 1);
    return format_value(rendering_, value, spec.bytes());
  }

  Value lookup(const std::string& path) {
    const std::size_t first_end = std::min(path.find_first_of(".["), path.size());
    Value value = argument(path.substr(0, first_end));
    for (std::size_t position = first_end; position < path.size();) {
      if (path[position] == '.') {
        const std::size_t end = std::min(path.find_first_of(".[", position + 1), path.size());
        check_argument(end > position + 1, "Empty attribute in format string");
        value = get_attribute(rendering_, value, path.substr(position + 1, end - position - 1));
        position = end;
      } else {
        check_argument(path[position] == '[', "Only '.' or '[' may follow ']' in format field specifier");
        const std::size_t end = path.find(']', position);
        check_argument(end != std::string::npos, "Missing ']' in format string");
        const std::string key = path.substr(position + 1, end - position - 1);
        check_argument(!key.empty(), "Empty attribute in format string");
        value = get_item(rendering_, value, index_of(key));
        position = end + 1;
      }
    }
    return value;
  }

  static std::optional<std::int64_t> as_number(const std::string& name) {
    if (name.empty() || name.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
    check_argument(name.size() < 10, "Too many decimal digits in format string");
    return std::stoll(name);
  }
  static Value index_of(const std::string& key) {
    const auto number = as_number(key);
    return number ? Value::integer(*number) : Value::string(key, Origin::kTrusted);
  }

  Value argument(const std::string& name) {
    auto position = as_number(name);
    if (name.empty()) {
      check_argument(!counts_by_hand_, "cannot switch from manual field specification to automatic field numbering");
      position = static_cast<std::int64_t>(counted_++);
    } else if (position) {
      check_argument(counted_ == 0, "cannot switch from automatic field numbering to manual field specification");
      counts_by_hand_ = true;
    }
    if (position) {
      check_argument(static_cast<std::size_t>(*position) < arguments_.positional.size(), "Replacement index ",
                     *position, " out of range for positional args tuple");
      return arguments_.positional[static_cast<std::size_t>(*position)];
    }
    for (const auto& [known, value] : arguments_.named) {
      if (known == name) return value;
    }
    fail(ErrorCategory::kInvalidArgument, text("format: no argument ", quoted(name)));
  }

  Rendering& rendering_;
  const Arguments& arguments_;
  const Text& whole_;
  std::size_t counted_ = 0;
  bool counts_by_hand_ = false;
};

}  // namespace

Value format_braces(Rendering& rendering, const Text& format, const Arguments& arguments) {
  return Value::string(BraceFormatter(rendering, format, arguments).run());
}

}  // namespace tca::runtime::jinja
