// Arguments of a call bound to the parameters of a builtin, as Python binds them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

class Bound {
 public:
  /// Parameters with an empty name are positional only; the first `required` must be given. Throws kInvalidArgument.
  Bound(std::string_view function, const Arguments& arguments, std::initializer_list<std::string_view> parameters,
        std::size_t required = 0);

  /// nullptr when it is not given.
  const Value* operator[](std::size_t i) const { return values_[i]; }
  bool has(std::size_t i) const { return values_[i] != nullptr; }
  Value get(std::size_t i, Value otherwise) const { return has(i) ? *values_[i] : std::move(otherwise); }
  /// Given, and not None.
  bool has_value(std::size_t i) const { return has(i) && !values_[i]->is(Value::Kind::kNone); }
  std::int64_t integer(std::size_t i, std::int64_t otherwise) const;
  bool truth(Rendering& rendering, std::size_t i, bool otherwise = false) const;
  const Text& text(std::size_t i) const;

 private:
  std::string_view function_;
  std::vector<const Value*> values_;
};

/// Throw kInvalidArgument for another type, naming the function.
std::int64_t integer_of(const Value& value, std::string_view function);
const Text& text_of(const Value& value, std::string_view function);

}  // namespace tca::runtime::jinja
