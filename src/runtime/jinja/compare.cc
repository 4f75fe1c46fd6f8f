#include "runtime/jinja/compare.h"

#include <cmath>
#include <functional>

#include "core/check.h"
#include "runtime/jinja/dict.h"
#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

constexpr double kTwoTo63 = 9223372036854775808.0;

bool fits_integer(double value) { return value >= -kTwoTo63 && value < kTwoTo63; }

// -1, 0 or 1 without rounding the integer; not for NaN.
int compare_exactly(std::int64_t integer, double real) {
  if (!fits_integer(real)) return real > 0 ? -1 : 1;
  const auto whole = static_cast<std::int64_t>(real);
  if (integer != whole) return integer < whole ? -1 : 1;
  const double fraction = real - static_cast<double>(whole);
  return fraction > 0 ? -1 : fraction < 0 ? 1 : 0;
}

bool holds(Order order, int comparison) {
  switch (order) {
    case Order::kLess:
      return comparison < 0;
    case Order::kLessEqual:
      return comparison <= 0;
    case Order::kGreater:
      return comparison > 0;
    case Order::kGreaterEqual:
      return comparison >= 0;
  }
  return false;
}

std::string_view symbol(Order order) {
  constexpr std::string_view kSymbols[] = {"<", "<=", ">", ">="};
  return kSymbols[static_cast<int>(order)];
}

template <class T>
int compare(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

// -1, 0, 1; 2 for NaN, which is neither.
int compare_numbers(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return compare(a.as_integer(), b.as_integer());
  if (std::isnan(a.as_real()) || std::isnan(b.as_real())) return 2;
  if (a.is_integer()) return compare_exactly(a.as_integer(), b.as_real());
  if (b.is_integer()) return -compare_exactly(b.as_integer(), a.as_real());
  return compare(a.as_real(), b.as_real());
}

bool equal_items(const Value::Items& a, const Value::Items& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!equal(a[i], b[i])) return false;
  }
  return true;
}

bool equal_dicts(const Dict& a, const Dict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a.entries()) {
    const Value* other = b.find(key);
    if (other == nullptr || !equal(value, *other)) return false;
  }
  return true;
}

bool equal_ranges(const Range& a, const Range& b) {
  if (a.size() != b.size()) return false;
  if (a.size() == 0) return true;
  return a.start == b.start && (a.size() == 1 || a.step == b.step);
}

[[noreturn]] void fail_order(Order order, const Value& a, const Value& b) {
  fail(ErrorCategory::kInvalidArgument, tca::text("'", symbol(order), "' not supported between instances of '",
                                                  type_name(a), "' and '", type_name(b), "'"));
}

bool ordered_items(Order order, const Value::Items& a, const Value::Items& b) {
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (!equal(a[i], b[i])) return ordered(order, a[i], b[i]);
  }
  return holds(order, compare(a.size(), b.size()));
}

}  // namespace

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kString:
      return a.text().bytes() == b.text().bytes();
    case Kind::kList:
    case Kind::kTuple:
      return equal_items(a.items(), b.items());
    case Kind::kDict:
      return equal_dicts(a.dict(), b.dict());
    case Kind::kRange:
      return equal_ranges(a.range(), b.range());
    case Kind::kObject:
      check_supported(!a.object().compares_by_content() || !b.object().compares_by_content(), "comparing ",
                      type_name(a), " with ", type_name(b));
      return &a.object() == &b.object();
    default:
      return true;  // undefined, none
  }
}

bool ordered(Order order, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) check_argument(!value->is(Kind::kUndefined), value->undefined_message());
  if (a.is_number() && b.is_number()) {
    const int comparison = compare_numbers(a, b);
    return comparison != 2 && holds(order, comparison);
  }
  if (a.kind() != b.kind()) fail_order(order, a, b);
  switch (a.kind()) {
    case Kind::kString:  // the order of UTF-8's bytes is that of the characters
      return holds(order, a.text().bytes().compare(b.text().bytes()));
    case Kind::kList:
    case Kind::kTuple:
      return ordered_items(order, a.items(), b.items());
    default:
      fail_order(order, a, b);
  }
}

std::size_t hash(const Value& value) {
  switch (value.kind()) {
    case Kind::kString:
      return std::hash<std::string>()(value.text().bytes());
    case Kind::kFloat: {
      const double real = value.as_real();
      if (!fits_integer(real) || real != std::floor(real)) return std::hash<double>()(real);
      return std::hash<std::int64_t>()(static_cast<std::int64_t>(real));
    }
    case Kind::kBool:
    case Kind::kInteger:
      return std::hash<std::int64_t>()(value.as_integer());
    case Kind::kTuple: {
      std::size_t result = value.items().size();
      for (const Value& item : value.items()) result = result * 1000003 ^ hash(item);
      return result;
    }
    case Kind::kList:
    case Kind::kDict:
      fail(ErrorCategory::kInvalidArgument, tca::text("unhashable type: '", type_name(value), "'"));
    case Kind::kRange:
      return static_cast<std::size_t>(value.range().size());
    case Kind::kObject:
      return std::hash<const Object*>()(&value.object());
    default:
      return static_cast<std::size_t>(value.kind());
  }
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInteger:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return value.is_markup() ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kRange:
      return "range";
    case Kind::kObject:
      return value.object().type_name();
  }
  return {};
}

}  // namespace tca::runtime::jinja
