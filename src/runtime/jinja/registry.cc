#include "runtime/jinja/registry.h"

#include <unordered_map>

#include "core/check.h"
#include "runtime/jinja/rendering.h"

namespace tca::runtime::jinja {
namespace {

const Filter* find_filter(std::string_view name) {
  static const auto* const kFilters = [] {
    auto* filters = new std::unordered_map<std::string_view, Filter>;
    for (const auto* table : {&text_filters(), &sequence_filters(), &selecting_filters(), &number_filters()}) {
      for (const Filter& filter : *table) filters->emplace(filter.name, filter);
    }
    return filters;
  }();
  const auto found = kFilters->find(name);
  return found == kFilters->end() ? nullptr : &found->second;
}

const Test* find_test(std::string_view name) {
  for (const Test& test : all_tests()) {
    if (test.name == name) return &test;
  }
  return nullptr;
}

}  // namespace

bool is_filter(std::string_view name) { return find_filter(name) != nullptr; }
bool is_test(std::string_view name) { return find_test(name) != nullptr; }

Value apply_filter(Rendering& rendering, std::string_view name, const Value& input, const Arguments& arguments) {
  rendering.step();
  const Filter* filter = find_filter(name);
  check_supported(filter != nullptr, "not supported: unknown filter '", name, "'");
  return filter->apply(rendering, input, arguments);
}

bool apply_test(Rendering& rendering, std::string_view name, const Value& input, const Arguments& arguments) {
  rendering.step();
  const Test* test = find_test(name);
  check_supported(test != nullptr, "not supported: unknown test '", name, "'");
  return test->apply(rendering, input, arguments);
}

}  // namespace tca::runtime::jinja
