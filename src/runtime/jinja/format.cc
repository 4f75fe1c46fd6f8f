#include "runtime/jinja/format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/operators.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

constexpr std::int64_t kMaxPrecision = 1000;

// A number in parts, so that zeros and thousands separators go between sign and digits.
struct Digits {
  std::string sign;
  std::string prefix;  // 0x
  std::string whole;
  std::string rest;  // point, fraction, exponent, "%"
};

std::string digits_in_base(std::uint64_t value, unsigned base, bool is_upper) {
  const char* const kDigits = is_upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string result;
  do {
    result.insert(result.begin(), kDigits[value % base]);
    value /= base;
  } while (value > 0);
  return result;
}

std::string sign_of(bool is_negative, const Form& form) {
  if (is_negative) return "-";
  return form.sign == '-' ? "" : std::string(1, form.sign);
}

Digits integer_digits(std::int64_t value, const Form& form) {
  check_argument(form.precision < 0, "Precision not allowed in integer format specifier");
  const std::uint64_t magnitude = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  Digits digits{sign_of(value < 0, form), "", "", ""};
  const char type = static_cast<char>(form.type | 0x20);
  const unsigned base = type == 'x' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  digits.whole = digits_in_base(magnitude, base, form.type == 'X');
  if (form.is_alternate && base != 10) digits.prefix = {'0', form.type};
  return digits;
}

// A '%g' of Python drops zeros unless alternate, as C's does; a float without a type shows one digit behind the point.
std::string print_real(double magnitude, const Form& form) {
  check_supported(form.precision <= kMaxPrecision, "a precision of ", form.precision);
  const auto precision = static_cast<int>(form.precision < 0 ? 6 : form.precision);
  char type = form.type;
  if (type == '%') type = 'f';
  if (type == '\0') type = 'g';
  const std::string directive = std::string(form.is_alternate ? "%#.*" : "%.*") + type;
  std::string buffer(400 + static_cast<std::size_t>(precision), '\0');
  const int size = std::snprintf(buffer.data(), buffer.size(), directive.c_str(), precision, magnitude);
  buffer.resize(static_cast<std::size_t>(size));
  return buffer;
}

Digits real_digits(double value, const Form& form) {
  Digits digits{sign_of(std::signbit(value) && !std::isnan(value), form), "", "", ""};
  const double magnitude = std::fabs(value);
  std::string printed;
  if (!std::isfinite(value)) {
    const bool is_upper = form.type == 'F' || form.type == 'E' || form.type == 'G';
    printed = std::isnan(value) ? (is_upper ? "NAN" : "nan") : (is_upper ? "INF" : "inf");
    digits.whole = printed;
    if (form.type == '%') digits.rest += '%';
    return digits;
  }
  if (form.type == '\0' && form.precision < 0) {
    printed = show_real(magnitude);
  } else {
    printed = print_real(form.type == '%' ? magnitude * 100 : magnitude, form);
    check_supported(form.type != '\0', "a precision without a type for a float");
  }
  const std::size_t point = std::min(printed.find_first_not_of("0123456789"), printed.size());
  digits.whole = printed.substr(0, point);
  digits.rest = printed.substr(point) + (form.type == '%' ? "%" : "");
  return digits;
}

std::string grouped(const std::string& whole, char separator, std::size_t group) {
  std::string result;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (i > 0 && (whole.size() - i) % group == 0) result += separator;
    result += whole[i];
  }
  return result;
}

void check_type(const Value& number, const Form& form) {
  const std::string_view known = number.is(Kind::kFloat) ? std::string_view("eEfFgG%\0", 8) : "bdoxXeEfFgG%\0";
  const bool fine = form.type == '\0' || known.find(form.type) != std::string_view::npos;
  if (form.type == 'n' || form.type == 'c') fail(ErrorCategory::kUnsupported, text("the format '", form.type, "'"));
  check_argument(fine, "Unknown format code '", form.type, "' for object of type '", type_name(number), "'");
}

}  // namespace

Text pad(Rendering& rendering, const Text& text, const Form& form, char default_align) {
  const auto length = static_cast<std::int64_t>(length_of(text.bytes()));
  if (form.width <= length) return text;
  const std::int64_t room = form.width - length;
  const char align = form.align == '\0' ? default_align : form.align;
  const std::int64_t before = align == '<' ? 0 : align == '^' ? room / 2 : room;
  TextBuilder out(rendering);
  out.append(repeat(rendering, Text(form.fill), before));
  out.append(text);
  out.append(repeat(rendering, Text(form.fill), room - before));
  return out.take();
}

Text format_number(Rendering& rendering, const Value& number, const Form& form) {
  check_type(number, form);
  const bool is_whole = number.is_integer() && std::string_view("bdoxX").find(form.type) != std::string_view::npos;
  const bool is_plain = number.is_integer() && form.type == '\0';
  const Digits digits =
      is_whole || is_plain ? integer_digits(number.as_integer(), form) : real_digits(number.as_real(), form);
  const bool is_decimal = form.type != 'b' && form.type != 'o' && (form.type | 0x20) != 'x';
  check_argument(form.group != ',' || is_decimal, "Cannot specify ',' with '", form.type, "'.");
  std::string whole = digits.whole;
  const std::string sign = digits.sign + digits.prefix;
  const bool is_finite = digits.whole.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (form.group != '\0' && is_finite) {
    check_supported(form.align != '=' || form.width == 0, "thousands separators in a number filled up with zeros");
    whole = grouped(whole, form.group, is_decimal ? 3 : 4);
  }
  if (form.align != '=') return pad(rendering, Text(sign + whole + digits.rest), form, '>');
  Form inner = form;
  inner.width -= static_cast<std::int64_t>(sign.size());
  TextBuilder out(rendering);
  out.append(sign);
  out.append(pad(rendering, Text(whole + digits.rest), inner, '>'));
  return out.take();
}

}  // namespace tca::runtime::jinja
