// Values of a template: Python's, as far as Jinja shows them. Immutable and cheap to copy.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/jinja/text.h"

namespace tca::runtime::jinja {

class Dict;
class Object;

/// Lists, tuples and dicts may nest this deep.
inline constexpr int kMaxNesting = 100;

struct Range {
  std::int64_t start, stop, step;
  std::int64_t size() const;
};

class Value {
 public:
  enum class Kind : std::uint8_t {
    kUndefined,
    kNone,
    kBool,
    kInteger,
    kFloat,
    kString,
    kList,
    kTuple,
    kDict,
    kRange,
    kObject,  // what lives for one rendering: namespaces, iterators, functions
  };
  using Items = std::vector<Value>;

  // What data is made of.
  static Value none() { return Value(Kind::kNone, {}); }
  static Value boolean(bool value) { return Value(Kind::kBool, value); }
  static Value integer(std::int64_t value) { return Value(Kind::kInteger, value); }
  static Value real(double value) { return Value(Kind::kFloat, value); }
  static Value string(Text text);
  static Value string(std::string_view bytes, Origin origin) { return string(Text(bytes, origin)); }
  static Value list(Items items);
  /// Keys are trusted. The last of equal keys counts.
  static Value dict(const std::vector<std::pair<std::string, Value>>& entries);
  /// All strings, keys too, are of the origin. Throws kUnsupported for integers that need more than 64 signed bits and
  /// for what nests too deep.
  static Value from_json(const nlohmann::ordered_json& json, Origin origin);

  // What only templates make.
  Value() = default;  // undefined, and missing: no value was ever there
  /// message: what using the value as if it were one says.
  static Value undefined(std::string message);
  static Value tuple(Items items);
  static Value dict(Dict dict);
  static Value range(const Range& range);
  /// The object outlives the value.
  static Value object(Object& object) { return Value(Kind::kObject, &object); }
  /// Text that the escape filter made; joining it with other text escapes that.
  static Value markup(Text text);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_missing() const { return is(Kind::kUndefined) && std::holds_alternative<std::monostate>(payload_); }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_markup() const { return is_markup_; }
  /// bool counts as an integer, as in Python.
  bool is_integer() const { return kind_ == Kind::kInteger || kind_ == Kind::kBool; }
  bool is_number() const { return is_integer() || kind_ == Kind::kFloat; }

  // The value as its kind; another kind is a mistake of the caller's (std::bad_variant_access).
  bool as_bool() const { return std::get<bool>(payload_); }
  std::int64_t as_integer() const;  // of a bool too
  double as_real() const;           // of any number
  const Text& text() const { return *std::get<std::shared_ptr<const Text>>(payload_); }
  const Items& items() const { return *std::get<std::shared_ptr<const Items>>(payload_); }  // of a list or tuple
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(payload_); }
  const Range& range() const { return *std::get<std::shared_ptr<const Range>>(payload_); }
  Object& object() const { return *std::get<Object*>(payload_); }
  /// What went wrong when this undefined value came to be.
  std::string undefined_message() const;
  /// The same object, as Python's `is` says.
  bool same_as(const Value& other) const;
  /// 0 for what holds no values.
  int nesting() const { return nesting_; }

 private:
  using Payload =
      std::variant<std::monostate, bool, std::int64_t, double, std::shared_ptr<const Text>,
                   std::shared_ptr<const Items>, std::shared_ptr<const Dict>, std::shared_ptr<const Range>, Object*>;
  Value(Kind kind, Payload payload) : kind_(kind), payload_(std::move(payload)) {}
  static Value sequence(Kind kind, Items items);

  Kind kind_ = Kind::kUndefined;
  bool is_markup_ = false;
  std::uint8_t nesting_ = 0;
  Payload payload_;
};

}  // namespace tca::runtime::jinja
