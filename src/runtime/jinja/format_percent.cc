#include <cmath>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/dict.h"
#include "runtime/jinja/format.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

class PercentFormatter {
 public:
  PercentFormatter(Rendering& rendering, const Text& format, const Value& arguments)
      : rendering_(rendering), format_(format), arguments_(arguments), out_(rendering) {}

  Text run() {
    const std::string& bytes = format_.bytes();
    while (position_ < bytes.size()) {
      const std::size_t percent = std::min(bytes.find('%', position_), bytes.size());
      out_.append(format_, position_, percent);
      position_ = percent;
      if (position_ < bytes.size()) directive();
    }
    const bool all_used = arguments_.is(Kind::kTuple) ? used_ == arguments_.items().size()
                                                      : used_ > 0 || by_name_ || arguments_.is(Kind::kDict) ||
                                                            arguments_.is(Kind::kList) || arguments_.is(Kind::kRange);
    check_argument(all_used, "not all arguments converted during string formatting");
    return out_.take();
  }

 private:
  char take() {
    check_argument(position_ < format_.size(), "incomplete format");
    return format_.bytes()[position_++];
  }
  char peek() const { return position_ < format_.size() ? format_.bytes()[position_] : '\0'; }

  Value next_argument() {
    if (!arguments_.is(Kind::kTuple)) {
      check_argument(used_++ == 0, "not enough arguments for format string");
      return arguments_;
    }
    check_argument(used_ < arguments_.items().size(), "not enough arguments for format string");
    return arguments_.items()[used_++];
  }

  Value named_argument() {
    check_argument(arguments_.is(Kind::kDict), "format requires a mapping");
    by_name_ = true;
    const std::size_t begin = ++position_;
    int open = 1;
    while (open > 0) {
      const char c = take();
      open += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    const std::string name = format_.bytes().substr(begin, position_ - 1 - begin);
    const Value* value = arguments_.dict().find(std::string_view(name));
    check_argument(value != nullptr, "format: no key ", quoted(name));
    return *value;
  }

  std::int64_t number() {
    if (peek() == '*') {
      ++position_;
      const Value value = next_argument();
      check_argument(value.is_integer(), "* wants int");
      return value.as_integer();
    }
    std::int64_t result = 0;
    while (peek() >= '0' && peek() <= '9') {
      result = result * 10 + (take() - '0');
      check_supported(result < (1 << 30), "a format's width or precision beyond 2^30");
    }
    return result;
  }

  void directive() {
    ++position_;
    Form form;
    std::optional<Value> named;
    if (peek() == '(') named = named_argument();
    bool has_zeros = false;
    bool is_left = false;
    for (; std::string_view("-+ #0").find(peek()) != std::string_view::npos && peek() != '\0'; ++position_) {
      if (peek() == '-') is_left = true;
      if (peek() == '+') form.sign = '+';
      if (peek() == ' ' && form.sign != '+') form.sign = ' ';
      if (peek() == '#') form.is_alternate = true;
      if (peek() == '0') has_zeros = true;
    }
    form.width = number();
    if (form.width < 0) is_left = true;
    form.width = std::abs(form.width);
    form.align = is_left ? '<' : '>';
    if (peek() == '.') {
      ++position_;
      form.precision = std::max<std::int64_t>(number(), 0);
    }
    while (peek() == 'h' || peek() == 'l' || peek() == 'L') ++position_;
    form.type = take();
    if (form.type == '%') {
      out_.append("%");
      return;
    }
    if (has_zeros && !is_left && std::string_view("diuoxXeEfFgG").find(form.type) != std::string_view::npos) {
      form.align = '=';
      form.fill = "0";
    }
    convert(named ? *named : next_argument(), form);
  }

  void convert(const Value& value, Form& form) {
    switch (form.type) {
      case 's':
        return string(to_text(rendering_, value), form);
      case 'r':
        return string(repr(rendering_, value), form);
      case 'c':
        return character(value, form);
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X':
        return integer(value, form);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        check_argument(!value.is(Kind::kUndefined), value.undefined_message());
        check_argument(value.is_number(), "must be real number, not ", type_name(value));
        out_.append(format_number(rendering_, Value::real(value.as_real()), form));
        return;
      case 'a':
        fail(ErrorCategory::kUnsupported, "the format '%a'");
      default:
        fail(ErrorCategory::kInvalidArgument, "unsupported format character");
    }
  }

  void string(Text text, const Form& form) {
    const auto precision = static_cast<std::size_t>(form.precision);
    if (form.precision >= 0 && length_of(text.bytes()) > precision)
      text = text.slice(0, byte_of(text.bytes(), precision));
    out_.append(pad(rendering_, text, form, '>'));
  }

  // Whatever number a message brings: its character is not the template's.
  void character(const Value& value, Form form) {
    std::string bytes;
    if (value.is_string()) {
      check_argument(length_of(value.text().bytes()) == 1, "%c requires int or char");
      bytes = value.text().bytes();
    } else {
      check_argument(value.is_integer(), "%c requires int or char");
      const std::int64_t c = value.as_integer();
      check_argument(c >= 0 && c < 0x110000, "%c arg not in range(0x110000)");
      check_supported(c < 0xD800 || c >= 0xE000, "surrogates");
      append_utf8(bytes, static_cast<char32_t>(c));
    }
    out_.append(pad(rendering_, Text(bytes, Origin::kForeign), form, '>'));
  }

  void integer(const Value& value, Form& form) {
    check_argument(!value.is(Kind::kUndefined), value.undefined_message());
    const bool is_decimal = form.type == 'd' || form.type == 'i' || form.type == 'u';
    const bool fine = value.is_integer() || (is_decimal && value.is(Kind::kFloat));
    check_argument(fine, "%", form.type, " format: ", is_decimal ? "a real number" : "an integer", " is required, not ",
                   type_name(value));
    std::int64_t number = 0;
    if (value.is(Kind::kFloat)) {
      const double whole = std::trunc(value.as_real());
      check_argument(std::isfinite(whole), "cannot convert float infinity or NaN to integer");
      check_supported(std::fabs(whole) < 9e18, "the integer of ", whole, " needs more than 64 bits");
      number = static_cast<std::int64_t>(whole);
    } else {
      number = value.as_integer();
    }
    if (is_decimal) form.type = 'd';
    check_supported(form.precision < 0, "a precision for an integer");
    out_.append(format_number(rendering_, Value::integer(number), form));
  }

  Rendering& rendering_;
  const Text& format_;
  const Value& arguments_;
  TextBuilder out_;
  std::size_t position_ = 0;
  std::size_t used_ = 0;
  bool by_name_ = false;
};

}  // namespace

Value format_percent(Rendering& rendering, const Value& format, const Value& arguments) {
  check_supported(!format.is_markup(), "% on escaped text");
  return Value::string(PercentFormatter(rendering, format.text(), arguments).run());
}

}  // namespace tca::runtime::jinja
