#include "runtime/jinja/arguments.h"

#include <algorithm>

#include "core/check.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/sequence.h"

namespace tca::runtime::jinja {

Bound::Bound(std::string_view function, const Arguments& arguments, std::initializer_list<std::string_view> parameters,
             std::size_t required)
    : function_(function), values_(parameters.size(), nullptr) {
  const std::size_t given = arguments.positional.size();
  check_argument(given <= parameters.size(), function, "() takes at most ", parameters.size(), " arguments (", given,
                 " given)");
  for (std::size_t i = 0; i < given; ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto parameter = name.empty() ? parameters.end() : std::find(parameters.begin(), parameters.end(), name);
    check_argument(parameter != parameters.end(), function, "() got an unexpected keyword argument '", name, "'");
    const Value*& slot = values_[static_cast<std::size_t>(parameter - parameters.begin())];
    check_argument(slot == nullptr, function, "() got multiple values for argument '", name, "'");
    slot = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    check_argument(values_[i] != nullptr, function, "() lacks argument ", i + 1, " of ", required);
  }
}

std::int64_t Bound::integer(std::size_t i, std::int64_t otherwise) const {
  return has(i) ? integer_of(*values_[i], function_) : otherwise;
}

bool Bound::truth(Rendering& rendering, std::size_t i, bool otherwise) const {
  return has(i) ? jinja::truth(rendering, *values_[i]) : otherwise;
}

const Text& Bound::text(std::size_t i) const { return text_of(*values_[i], function_); }

std::int64_t integer_of(const Value& value, std::string_view function) {
  check_argument(value.is_integer(), function, ": '", type_name(value), "' object cannot be interpreted as an integer");
  return value.as_integer();
}

const Text& text_of(const Value& value, std::string_view function) {
  check_argument(value.is_string(), function, ": expected a string, not ", type_name(value));
  return value.text();
}

}  // namespace tca::runtime::jinja
