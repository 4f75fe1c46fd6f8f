#include "runtime/jinja/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/format.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/sequence.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

std::string_view symbol(Operator op) {
  constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()", "+", "-"};
  return kSymbols[static_cast<int>(op)];
}

[[noreturn]] void fail_types(Operator op, const Value& left, const Value& right) {
  fail(ErrorCategory::kInvalidArgument,
       text("unsupported operand type(s) for ", symbol(op), ": '", type_name(left), "' and '", type_name(right), "'"));
}

[[noreturn]] void fail_size(Operator op) {
  fail(ErrorCategory::kUnsupported, text("the result of ", symbol(op), " needs more than 64 bits"));
}

// 2^53: integers up to here are exact as doubles.
constexpr std::int64_t kExactInDouble = std::int64_t{1} << 53;

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  const std::int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

double floor_modulo(double a, double b) {
  double result = std::fmod(a, b);
  if (result != 0 && (b < 0) != (result < 0)) result += b;
  return result == 0 ? std::copysign(0.0, b) : result;
}

double floor_divide(double a, double b) {
  const double modulo = floor_modulo(a, b);
  const double quotient = (a - modulo) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

Value integer_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    check_argument(base != 0, "0.0 cannot be raised to a negative power");
    return Value::real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  std::int64_t result = 1;
  if (base == 0 || base == 1 || base == -1) {
    return Value::integer(exponent == 0 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : base);
  }
  for (; exponent > 0; --exponent) {  // at most 63 times
    if (__builtin_mul_overflow(result, base, &result)) fail_size(Operator::kPower);
  }
  return Value::integer(result);
}

Value integers(Operator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  const bool divides = op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  check_argument(!divides || b != 0,
                 op == Operator::kDivide ? "division by zero" : "integer division or modulo by zero");
  bool overflows = false;
  switch (op) {
    case Operator::kAdd:
      overflows = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      overflows = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      overflows = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kDivide:
      check_supported(std::max(a, b) <= kExactInDouble && std::min(a, b) >= -kExactInDouble,
                      "dividing integers of more than 53 bits");
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kFloorDivide:
      overflows = a == std::numeric_limits<std::int64_t>::min() && b == -1;
      if (!overflows) result = floor_divide(a, b);
      break;
    case Operator::kModulo:
      result = b == -1 ? 0 : a - floor_divide(a, b) * b;
      break;
    default:
      return integer_power(a, b);
  }
  if (overflows) fail_size(op);
  return Value::integer(result);
}

Value reals(Operator op, double a, double b) {
  const bool divides = op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  check_argument(!divides || b != 0, "float division by zero");
  switch (op) {
    case Operator::kAdd:
      return Value::real(a + b);
    case Operator::kSubtract:
      return Value::real(a - b);
    case Operator::kMultiply:
      return Value::real(a * b);
    case Operator::kDivide:
      return Value::real(a / b);
    case Operator::kFloorDivide:
      return Value::real(floor_divide(a, b));
    case Operator::kModulo:
      return Value::real(floor_modulo(a, b));
    default: {
      check_argument(a != 0 || b >= 0, "0.0 cannot be raised to a negative power");
      check_supported(a >= 0 || std::floor(b) == b, "complex numbers");
      const double power = std::pow(a, b);
      check_argument(!std::isinf(power) || std::isinf(a) || std::isinf(b), "the result of ** is too large");
      return Value::real(power);
    }
  }
}

Value add_texts(Rendering& rendering, const Value& left, const Value& right) {
  TextBuilder out(rendering);
  const bool is_markup = left.is_markup() || right.is_markup();
  for (const Value* part : {&left, &right}) {
    out.append(is_markup ? escape_html(rendering, *part) : part->text());
  }
  return is_markup ? Value::markup(out.take()) : out.value();
}

Value add_items(Rendering& rendering, const Value& left, const Value& right) {
  rendering.count_items(left.items().size() + right.items().size());
  Value::Items items = left.items();
  items.insert(items.end(), right.items().begin(), right.items().end());
  return left.is(Kind::kList) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

Value repeat_items(Rendering& rendering, const Value& sequence, std::int64_t count) {
  const std::size_t size = sequence.items().size();
  const auto times = static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
  rendering.count_items(size == 0 ? 0 : times > SIZE_MAX / size ? SIZE_MAX : times * size);
  Value::Items items;
  for (std::size_t i = 0; size > 0 && i < times; ++i) {
    items.insert(items.end(), sequence.items().begin(), sequence.items().end());
  }
  return sequence.is(Kind::kList) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

Value repeated(Rendering& rendering, const Value& sequence, const Value& count) {
  if (!sequence.is_string()) return repeat_items(rendering, sequence, count.as_integer());
  Text text = repeat(rendering, sequence.text(), count.as_integer());
  return sequence.is_markup() ? Value::markup(std::move(text)) : Value::string(std::move(text));
}

bool is_sequence(const Value& value) { return value.is_string() || value.is(Kind::kList) || value.is(Kind::kTuple); }

}  // namespace

Text repeat(Rendering& rendering, const Text& text, std::int64_t count) {
  const auto times = static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
  if (text.empty() || times == 0) return {};
  rendering.count_bytes(times > SIZE_MAX / text.size() ? SIZE_MAX : 0);
  rendering.count_bytes(times * text.size());
  rendering.count_bytes(text.foreign().empty() ? 0 : times * sizeof(Span) * text.foreign().size());
  Text result;
  for (std::size_t i = 0; i < times; ++i) result.append(text);
  return result;
}

Value binary(Rendering& rendering, Operator op, const Value& left, const Value& right) {
  if (op == Operator::kModulo && left.is_string()) return format_percent(rendering, left, right);
  for (const Value* operand : {&left, &right}) {
    check_argument(!operand->is(Kind::kUndefined), operand->undefined_message());
  }
  if (left.is_integer() && right.is_integer()) return integers(op, left.as_integer(), right.as_integer());
  if (left.is_number() && right.is_number()) return reals(op, left.as_real(), right.as_real());
  if (op == Operator::kAdd && left.kind() == right.kind() && is_sequence(left)) {
    return left.is_string() ? add_texts(rendering, left, right) : add_items(rendering, left, right);
  }
  if (op == Operator::kMultiply && is_sequence(left) && right.is_integer()) return repeated(rendering, left, right);
  if (op == Operator::kMultiply && is_sequence(right) && left.is_integer()) return repeated(rendering, right, left);
  const bool are_views = left.is(Kind::kObject) && left.object().compares_by_content();
  check_supported(!are_views || op != Operator::kSubtract, "sets made of dict views");
  fail_types(op, left, right);
}

Value unary(Operator op, const Value& value) {
  check_argument(!value.is(Kind::kUndefined), value.undefined_message());
  if (value.is(Kind::kFloat)) return Value::real(op == Operator::kNegative ? -value.as_real() : value.as_real());
  check_argument(value.is_integer(), "bad operand type for unary ", symbol(op), ": '", type_name(value), "'");
  if (op == Operator::kPositive) return Value::integer(value.as_integer());
  return integers(Operator::kSubtract, 0, value.as_integer());
}

bool compare(Rendering& rendering, Operator op, const Value& left, const Value& right) {
  switch (op) {
    case Operator::kEqual:
      return equal(left, right);
    case Operator::kNotEqual:
      return !equal(left, right);
    case Operator::kLess:
      return ordered(Order::kLess, left, right);
    case Operator::kLessEqual:
      return ordered(Order::kLessEqual, left, right);
    case Operator::kGreater:
      return ordered(Order::kGreater, left, right);
    case Operator::kGreaterEqual:
      return ordered(Order::kGreaterEqual, left, right);
    case Operator::kNotIn:
      return !contains(rendering, right, left);
    default:
      return contains(rendering, right, left);
  }
}

Value concatenate(Rendering& rendering, const Value::Items& parts) {
  TextBuilder out(rendering);
  for (const Value& part : parts) out.append(to_text(rendering, part));
  return out.value();
}

Text escape_html(Rendering& rendering, const Value& value) {
  if (value.is_markup()) return value.text();
  const Text plain = to_text(rendering, value);
  constexpr std::string_view kSpecial = "&<>'\"";
  constexpr std::string_view kEscapes[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
  TextBuilder out(rendering);
  for (std::size_t position = 0; position < plain.size();) {
    const std::size_t next = std::min(plain.bytes().find_first_of(kSpecial, position), plain.size());
    out.append(plain, position, next);
    position = next;
    if (next == plain.size()) break;
    out.append(kEscapes[kSpecial.find(plain.bytes()[next])], plain.origin_at(next));
    ++position;
  }
  return out.take();
}

}  // namespace tca::runtime::jinja
