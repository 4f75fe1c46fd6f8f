// What stands behind `is`.
#include <string>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/arguments.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/operators.h"
#include "runtime/jinja/registry.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/sequence.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

// A test of the value alone.
template <bool (*holds)(const Value&)>
bool plain(Rendering&, const Value& input, const Arguments& arguments) {
  Bound("a test", arguments, {});
  return holds(input);
}

template <Kind kind>
bool is_kind(const Value& value) {
  return value.is(kind);
}
bool is_defined(const Value& value) { return !value.is(Kind::kUndefined); }
bool is_true(const Value& value) { return value.is(Kind::kBool) && value.as_bool(); }
bool is_false(const Value& value) { return value.is(Kind::kBool) && !value.as_bool(); }
bool is_number(const Value& value) { return value.is_number(); }
bool is_escaped(const Value& value) { return value.is_markup(); }

bool is_callable(const Value& value) {
  // Undefined values have a __call__, which only raises.
  return value.is(Kind::kUndefined) || (value.is(Kind::kObject) && value.object().is_callable());
}

// With a length and items: Undefined too, in whose class both are defined.
bool is_sequence(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kRange:
      return true;
    default:
      return false;
  }
}

bool iterable(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("iterable", arguments, {});
  return is_iterable(input, rendering);
}

bool is_remainder(Rendering& rendering, const Value& input, const Value& divisor, std::int64_t remainder) {
  return equal(binary(rendering, Operator::kModulo, input, divisor), Value::integer(remainder));
}
bool even(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("even", arguments, {});
  return is_remainder(rendering, input, Value::integer(2), 0);
}
bool odd(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("odd", arguments, {});
  return is_remainder(rendering, input, Value::integer(2), 1);
}
bool divisible(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("divisibleby", arguments, {"num"}, 1);
  return is_remainder(rendering, input, *bound[0], 0);
}

template <bool is_lower_case>
bool has_case(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("lower or upper", arguments, {});
  const Text text = to_text(rendering, input);
  bool has_cased = false;
  for (std::size_t position = 0; position < text.size();) {
    const char32_t c = next_code_point(text.bytes(), position);
    if ((is_lower_case ? is_upper(c) : is_lower(c)) || is_title(c)) return false;
    has_cased = has_cased || (is_lower_case ? is_lower(c) : is_upper(c));
  }
  return has_cased;
}

template <Operator op>
bool compared(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("a comparison", arguments, {""}, 1);
  return compare(rendering, op, input, *bound[0]);
}

bool is_in(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("in", arguments, {"seq"}, 1);
  return contains(rendering, *bound[0], input);
}

// Of Python's objects only those that are one of a kind can be told here.
bool same_as(Rendering&, const Value& input, const Arguments& arguments) {
  const Bound bound("sameas", arguments, {"other"}, 1);
  const Value& other = *bound[0];
  const auto is_single = [](const Value& value) { return value.is(Kind::kNone) || value.is(Kind::kBool); };
  if (is_single(input) || is_single(other)) return input.same_as(other);
  if (input.kind() != other.kind()) return false;
  check_supported(input.same_as(other) || input.is(Kind::kDict) || input.is(Kind::kList) || input.is(Kind::kObject),
                  "'sameas' with values that Python may or may not share");
  return input.same_as(other);
}

bool is_filter_name(Rendering&, const Value& input, const Arguments& arguments) {
  Bound("filter", arguments, {});
  if (!input.is_string()) return false;
  const std::string& name = input.text().bytes();
  for (const std::string_view lacking : {"pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr"}) {
    check_supported(name != lacking, "the filter '", name, "'");
  }
  return is_filter(name);
}

bool is_test_name(Rendering&, const Value& input, const Arguments& arguments) {
  Bound("test", arguments, {});
  return input.is_string() && is_test(input.text().bytes());
}

}  // namespace

const std::vector<Test>& all_tests() {
  static const std::vector<Test> kTests = {{"defined", plain<is_defined>},
                                           {"undefined", plain<is_kind<Kind::kUndefined>>},
                                           {"none", plain<is_kind<Kind::kNone>>},
                                           {"boolean", plain<is_kind<Kind::kBool>>},
                                           {"true", plain<is_true>},
                                           {"false", plain<is_false>},
                                           {"integer", plain<is_kind<Kind::kInteger>>},
                                           {"float", plain<is_kind<Kind::kFloat>>},
                                           {"number", plain<is_number>},
                                           {"string", plain<is_kind<Kind::kString>>},
                                           {"mapping", plain<is_kind<Kind::kDict>>},
                                           {"sequence", plain<is_sequence>},
                                           {"iterable", iterable},
                                           {"callable", plain<is_callable>},
                                           {"escaped", plain<is_escaped>},
                                           {"even", even},
                                           {"odd", odd},
                                           {"divisibleby", divisible},
                                           {"lower", has_case<true>},
                                           {"upper", has_case<false>},
                                           {"sameas", same_as},
                                           {"in", is_in},
                                           {"filter", is_filter_name},
                                           {"test", is_test_name},
                                           {"==", compared<Operator::kEqual>},
                                           {"eq", compared<Operator::kEqual>},
                                           {"equalto", compared<Operator::kEqual>},
                                           {"!=", compared<Operator::kNotEqual>},
                                           {"ne", compared<Operator::kNotEqual>},
                                           {">", compared<Operator::kGreater>},
                                           {"gt", compared<Operator::kGreater>},
                                           {"greaterthan", compared<Operator::kGreater>},
                                           {">=", compared<Operator::kGreaterEqual>},
                                           {"ge", compared<Operator::kGreaterEqual>},
                                           {"<", compared<Operator::kLess>},
                                           {"lt", compared<Operator::kLess>},
                                           {"lessthan", compared<Operator::kLess>},
                                           {"<=", compared<Operator::kLessEqual>},
                                           {"le", compared<Operator::kLessEqual>}};
  return kTests;
}

}  // namespace tca::runtime::jinja
