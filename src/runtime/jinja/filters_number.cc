// Filters that make numbers, or text of numbers.
#include <cmath>
#include <cstdio>

#include "core/check.h"
#include "runtime/jinja/arguments.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/numbers.h"
#include "runtime/jinja/operators.h"
#include "runtime/jinja/registry.h"
#include "runtime/jinja/rendering.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

Value absolute(Rendering&, const Value& input, const Arguments& arguments) {
  Bound("abs", arguments, {});
  check_argument(!input.is(Kind::kUndefined), input.undefined_message());
  check_argument(input.is_number(), "bad operand type for abs(): '", type_name(input), "'");
  if (input.is(Kind::kFloat)) return Value::real(std::fabs(input.as_real()));
  return input.as_integer() < 0 ? unary(Operator::kNegative, input) : Value::integer(input.as_integer());
}

// float(value); nothing where that raises TypeError or ValueError.
std::optional<double> real_of(const Value& value) {
  check_argument(!value.is(Kind::kUndefined), value.undefined_message());
  if (value.is_number()) return value.as_real();
  return value.is_string() ? parse_real(value.text().bytes()) : std::nullopt;
}

Value integer_filter(Rendering&, const Value& input, const Arguments& arguments) {
  const Bound bound("int", arguments, {"default", "base"});
  const Value otherwise = bound.get(0, Value::integer(0));
  if (input.is_integer()) return Value::integer(input.as_integer());
  if (input.is_string()) {
    if (const auto value = parse_integer(input.text().bytes(), bound.integer(1, 10))) return Value::integer(*value);
  }
  const auto value = real_of(input);
  if (!value || std::isnan(*value)) return otherwise;
  // The float infinity overflows; text that says so becomes the default.
  check_argument(!std::isinf(*value) || input.is_string(), "cannot convert float infinity to integer");
  return std::isinf(*value) ? otherwise : Value::integer(truncate_to_integer(*value));
}

Value real_filter(Rendering&, const Value& input, const Arguments& arguments) {
  const Bound bound("float", arguments, {"default"});
  const auto value = real_of(input);
  return value ? Value::real(*value) : bound.get(0, Value::real(0));
}

// round(): to the nearest decimal, ties of the exact value to even.
double round_real(double value, std::int64_t precision) {
  if (!std::isfinite(value) || precision > 323) return value;
  check_supported(precision >= 0, "round with a negative precision for a float");
  char buffer[700];
  std::snprintf(buffer, sizeof(buffer), "%.*f", static_cast<int>(precision), value);
  return std::strtod(buffer, nullptr);
}

std::int64_t round_integer(std::int64_t value, std::int64_t precision) {
  if (precision >= 0) return value;
  check_supported(precision >= -18, "round with a precision below -18");
  std::int64_t unit = 1;
  for (; precision < 0; ++precision) unit *= 10;
  const std::int64_t below = value - ((value % unit) + unit) % unit;  // a multiple
  const std::int64_t rest = value - below;
  const bool is_up = rest > unit - rest || (rest == unit - rest && below / unit % 2 != 0);
  return below + (is_up ? unit : 0);
}

Value round(Rendering&, const Value& input, const Arguments& arguments) {
  const Bound bound("round", arguments, {"precision", "method"});
  check_argument(!input.is(Kind::kUndefined), input.undefined_message());
  check_argument(input.is_number(), "round: type ", type_name(input), " doesn't define __round__ method");
  const std::int64_t precision = bound.integer(0, 0);
  const std::string method = bound.has(1) ? bound.text(1).bytes() : "common";
  check_argument(method == "common" || method == "ceil" || method == "floor", "method must be common, ceil or floor");
  if (method == "common") {
    if (input.is_integer()) {
      check_supported(std::abs(input.as_real()) < 4e18 || precision >= 0, "rounding integers of more than 62 bits");
      return Value::integer(round_integer(input.as_integer(), precision));
    }
    return Value::real(round_real(input.as_real(), precision));
  }
  check_supported(precision >= 0 && precision <= 15, "round: ceil and floor with a precision of ", precision);
  double scale = 1;
  for (std::int64_t i = 0; i < precision; ++i) scale *= 10;
  const double scaled = input.as_real() * scale;
  check_argument(std::isfinite(scaled), "cannot convert float infinity or NaN to integer");
  check_supported(std::fabs(scaled) < 9007199254740992.0, "rounding numbers of more than 53 bits");
  const double whole = method == "ceil" ? std::ceil(scaled) : std::floor(scaled);
  return Value::real((whole == 0 ? 0.0 : whole) / scale);  // an integer has no zero with a sign
}

Value file_size(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("filesizeformat", arguments, {"binary"});
  const auto bytes = real_of(input);
  check_argument(bytes.has_value(), "filesizeformat: could not convert to a number");
  const bool is_binary = bound.truth(rendering, 0);
  const double base = is_binary ? 1024 : 1000;
  if (*bytes == 1) return Value::string("1 Byte", Origin::kTrusted);
  if (*bytes < base) return Value::string(text(truncate_to_integer(*bytes), " Bytes"), Origin::kTrusted);
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base * base;
  std::size_t i = 0;
  while (*bytes >= unit && i + 1 < kPrefixes.size()) {
    unit *= base;
    ++i;
  }
  char number[400];
  std::snprintf(number, sizeof(number), "%.1f ", base * *bytes / unit);
  const char prefix = is_binary && i == 0 ? 'K' : kPrefixes[i];
  return Value::string(text(std::string_view(number), prefix, is_binary ? "iB" : "B"), Origin::kTrusted);
}

}  // namespace

const std::vector<Filter>& number_filters() {
  static const std::vector<Filter> kFilters = {{"abs", absolute},
                                               {"int", integer_filter},
                                               {"float", real_filter},
                                               {"round", round},
                                               {"filesizeformat", file_size}};
  return kFilters;
}

}  // namespace tca::runtime::jinja
