#include "runtime/jinja/value.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "runtime/jinja/dict.h"

namespace tca::runtime::jinja {
namespace {

void check_nesting(int nesting) {
  check_supported(nesting <= kMaxNesting, "lists and dicts nested deeper than ", kMaxNesting, " levels");
}

Value from_json_below(const nlohmann::ordered_json& json, Origin origin, int depth) {
  using Type = nlohmann::ordered_json::value_t;
  check_nesting(depth);
  switch (json.type()) {
    case Type::null:
      return Value::none();
    case Type::boolean:
      return Value::boolean(json.get<bool>());
    case Type::number_integer:
      return Value::integer(json.get<std::int64_t>());
    case Type::number_unsigned:
      check_supported(json.get<std::uint64_t>() <= INT64_MAX, "the integer ", json.get<std::uint64_t>(),
                      " needs more than 64 signed bits");
      return Value::integer(json.get<std::int64_t>());
    case Type::number_float:
      return Value::real(json.get<double>());
    case Type::string:
      return Value::string(json.get_ref<const std::string&>(), origin);
    case Type::array: {
      Value::Items items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(from_json_below(item, origin, depth + 1));
      return Value::list(std::move(items));
    }
    case Type::object: {
      Dict dict;
      for (const auto& [key, value] : json.items()) {
        dict.set(Value::string(key, origin), from_json_below(value, origin, depth + 1));
      }
      return Value::dict(std::move(dict));
    }
    default:
      fail(ErrorCategory::kUnsupported, "binary values are no part of JSON text");
  }
}

}  // namespace

std::int64_t Range::size() const {
  if (step > 0) return start < stop ? (stop - start - 1) / step + 1 : 0;
  return start > stop ? (start - stop - 1) / -step + 1 : 0;
}

Value Value::string(Text text) { return {Kind::kString, std::make_shared<const Text>(std::move(text))}; }

Value Value::markup(Text text) {
  Value value = string(std::move(text));
  value.is_markup_ = true;
  return value;
}

Value Value::undefined(std::string message) {
  return {Kind::kUndefined, std::make_shared<const Text>(std::move(message))};
}

std::string Value::undefined_message() const {
  const auto* message = std::get_if<std::shared_ptr<const Text>>(&payload_);
  return message != nullptr ? (*message)->bytes() : "the value is undefined";
}

Value Value::sequence(Kind kind, Items items) {
  int nesting = 0;
  for (const Value& item : items) nesting = std::max(nesting, item.nesting());
  check_nesting(nesting + 1);
  Value value(kind, std::make_shared<const Items>(std::move(items)));
  value.nesting_ = static_cast<std::uint8_t>(nesting + 1);
  return value;
}

Value Value::list(Items items) { return sequence(Kind::kList, std::move(items)); }
Value Value::tuple(Items items) { return sequence(Kind::kTuple, std::move(items)); }

Value Value::dict(Dict dict) {
  const int nesting = dict.nesting() + 1;
  check_nesting(nesting);
  Value value(Kind::kDict, std::make_shared<const Dict>(std::move(dict)));
  value.nesting_ = static_cast<std::uint8_t>(nesting);
  return value;
}

Value Value::dict(const std::vector<std::pair<std::string, Value>>& entries) {
  Dict result;
  for (const auto& [key, value] : entries) result.set(string(key, Origin::kTrusted), value);
  return dict(std::move(result));
}

Value Value::range(const Range& range) { return {Kind::kRange, std::make_shared<const Range>(range)}; }

Value Value::from_json(const nlohmann::ordered_json& json, Origin origin) { return from_json_below(json, origin, 0); }

std::int64_t Value::as_integer() const { return is(Kind::kBool) ? as_bool() : std::get<std::int64_t>(payload_); }

double Value::as_real() const {
  return is(Kind::kFloat) ? std::get<double>(payload_) : static_cast<double>(as_integer());
}

bool Value::same_as(const Value& other) const { return kind_ == other.kind_ && payload_ == other.payload_; }

}  // namespace tca::runtime::jinja
