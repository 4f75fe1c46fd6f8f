#include "runtime/jinja/show.h"

#include <charconv>
#include <cmath>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/dict.h"
#include "runtime/jinja/rendering.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

std::string escaped(char32_t c, char quote) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string result;
  const auto hex = [&](char letter, int digits) {
    result = {'\\', letter};
    for (int i = digits - 1; i >= 0; --i) result += kDigits[c >> (4 * i) & 0xF];
  };
  if (c == static_cast<unsigned char>(quote) || c == '\\') {
    result = {'\\', static_cast<char>(c)};
  } else if (c == '\n') {
    result = "\\n";
  } else if (c == '\r') {
    result = "\\r";
  } else if (c == '\t') {
    result = "\\t";
  } else if (!is_printable(c)) {
    hex(c < 0x100 ? 'x' : c < 0x10000 ? 'u' : 'U', c < 0x100 ? 2 : c < 0x10000 ? 4 : 8);
  } else {
    append_utf8(result, c);
  }
  return result;
}

void append_quoted(TextBuilder& out, const Text& text) {
  const std::string& bytes = text.bytes();
  const bool has_single = bytes.find('\'') != std::string::npos;
  const char quote = has_single && bytes.find('"') == std::string::npos ? '"' : '\'';
  const std::string_view quotes(&quote, 1);
  out.append(quotes);
  for (std::size_t position = 0; position < bytes.size();) {
    const std::size_t begin = position;
    const char32_t c = next_code_point(bytes, position);
    out.append(escaped(c, quote), text.origin_at(begin));
  }
  out.append(quotes);
}

class Printer {
 public:
  Printer(Rendering& rendering, TextBuilder& out) : rendering_(rendering), out_(out) {}

  void print(const Value& value) {
    rendering_.step();
    const Rendering::Level level(rendering_);
    switch (value.kind()) {
      case Kind::kUndefined:
        out_.append("Undefined");
        break;
      case Kind::kString:
        if (value.is_markup()) out_.append("Markup(");
        append_quoted(out_, value.text());
        if (value.is_markup()) out_.append(")");
        break;
      case Kind::kList:
        print_items(value.items(), "[", "]");
        break;
      case Kind::kTuple:
        print_items(value.items(), "(", value.items().size() == 1 ? ",)" : ")");
        break;
      case Kind::kDict:
        print_dict(value.dict());
        break;
      default:
        print_simple(value);
    }
  }

 private:
  void print_items(const Value::Items& items, std::string_view open, std::string_view close) {
    out_.append(open);
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.append(", ");
      print(items[i]);
    }
    out_.append(close);
  }

  void print_dict(const Dict& dict) {
    out_.append("{");
    bool is_first = true;
    for (const auto& [key, value] : dict.entries()) {
      if (!is_first) out_.append(", ");
      is_first = false;
      print(key);
      out_.append(": ");
      print(value);
    }
    out_.append("}");
  }

  void print_simple(const Value& value) {
    switch (value.kind()) {
      case Kind::kNone:
        out_.append("None");
        break;
      case Kind::kBool:
        out_.append(value.as_bool() ? "True" : "False");
        break;
      case Kind::kInteger:
        out_.append(std::to_string(value.as_integer()));
        break;
      case Kind::kFloat:
        out_.append(show_real(value.as_real()));
        break;
      case Kind::kRange: {
        const Range& range = value.range();
        out_.append(text("range(", range.start, ", ", range.stop));
        out_.append(range.step == 1 ? ")" : text(", ", range.step, ")"));
        break;
      }
      default: {
        const auto shown = value.object().shown(rendering_);
        check_supported(shown.has_value(), "showing a ", type_name(value), " as text");
        out_.append(*shown);
      }
    }
  }

  Rendering& rendering_;
  TextBuilder& out_;
};

}  // namespace

Text repr(Rendering& rendering, const Value& value) {
  TextBuilder out(rendering);
  Printer(rendering, out).print(value);
  return out.take();
}

Text to_text(Rendering& rendering, const Value& value) {
  if (value.is_string()) return value.text();
  if (value.is(Kind::kUndefined)) return {};
  return repr(rendering, value);
}

std::string quoted(const std::string& text) {
  Rendering rendering({});
  TextBuilder out(rendering);
  append_quoted(out, Text(text));
  return out.take().bytes();
}

std::string show_real(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  const std::string_view scientific(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = scientific.find('e');
  int exponent = 0;
  std::from_chars(buffer + e + 1 + (scientific[e + 1] == '+'), end, exponent);
  std::string digits;
  for (const char c : scientific.substr(0, e)) {
    if (c != '.' && c != '-') digits += c;
  }
  std::string result = std::signbit(value) ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    result += digits[0];
    if (digits.size() > 1) result.append(1, '.').append(digits, 1);
    result += exponent < 0 ? "e-" : "e+";
    const std::string power = std::to_string(std::abs(exponent));
    return result + (power.size() < 2 ? "0" : "") + power;
  }
  if (exponent < 0) return result + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return result + digits + std::string(whole - digits.size(), '0') + ".0";
  return result + digits.substr(0, whole) + "." + digits.substr(whole);
}

}  // namespace tca::runtime::jinja
