// Methods of strings, lists, tuples and dicts.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

struct Method {
  std::string_view name;
  /// nullptr: Python has it and this interpreter lacks it.
  Value (*call)(Rendering& rendering, const Value& self, const Arguments& arguments);
};

/// nullptr when Python has no such attribute either, or the sandbox hides it.
const Method* find_method(const Value& self, std::string_view name);
/// Calls it. Throws kUnsupported for one that is lacking.
Value call_method(Rendering& rendering, const Value& self, const Method& method, const Arguments& arguments);
/// Calls any value. Throws kInvalidArgument for what cannot be called.
Value call_value(Rendering& rendering, const Value& function, const Arguments& arguments);

// The tables, by type.
const std::vector<Method>& string_methods();
const std::vector<Method>& string_search_methods();
const std::vector<Method>& list_methods();
const std::vector<Method>& dict_methods();

}  // namespace tca::runtime::jinja
