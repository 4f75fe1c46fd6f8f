// Filters, tests and global functions by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

struct Filter {
  std::string_view name;
  Value (*apply)(Rendering& rendering, const Value& input, const Arguments& arguments);
};
struct Test {
  std::string_view name;
  bool (*apply)(Rendering& rendering, const Value& input, const Arguments& arguments);
};

bool is_filter(std::string_view name);
bool is_test(std::string_view name);
/// Throw kUnsupported for a name that is not known.
Value apply_filter(Rendering& rendering, std::string_view name, const Value& input, const Arguments& arguments);
bool apply_test(Rendering& rendering, std::string_view name, const Value& input, const Arguments& arguments);
/// range, namespace, raise_exception, ...
std::optional<Value> make_global(Rendering& rendering, std::string_view name);

// The tables.
const std::vector<Filter>& text_filters();
const std::vector<Filter>& sequence_filters();
const std::vector<Filter>& selecting_filters();
const std::vector<Filter>& number_filters();
const std::vector<Test>& all_tests();

}  // namespace tca::runtime::jinja
