#include "runtime/jinja/methods.h"

#include "core/check.h"
#include "runtime/jinja/arguments.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/dict.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/sequence.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

const Method* find_in(const std::vector<Method>& methods, std::string_view name) {
  for (const Method& method : methods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

Value list_count(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("count", arguments, {""}, 1);
  std::int64_t count = 0;
  rendering.step(static_cast<std::int64_t>(self.items().size()));
  for (const Value& item : self.items()) count += equal(item, *bound[0]);
  return Value::integer(count);
}

Value list_index(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("index", arguments, {"", "", ""}, 1);
  const auto size = static_cast<std::int64_t>(self.items().size());
  rendering.step(size);
  const auto clip = [&](std::int64_t i) { return std::max<std::int64_t>(0, std::min(i < 0 ? i + size : i, size)); };
  const std::int64_t stop = clip(bound.integer(2, size));
  for (std::int64_t i = clip(bound.integer(1, 0)); i < stop; ++i) {
    if (equal(self.items()[static_cast<std::size_t>(i)], *bound[0])) return Value::integer(i);
  }
  fail(ErrorCategory::kInvalidArgument, "index: the value is not in the list");
}

Value copy(Rendering&, const Value& self, const Arguments& arguments) {
  Bound("copy", arguments, {});
  return self;
}

Value dict_get(Rendering&, const Value& self, const Arguments& arguments) {
  const Bound bound("get", arguments, {"", ""}, 1);
  const Value* value = self.dict().find(*bound[0]);
  return value != nullptr ? *value : bound.get(1, Value::none());
}

template <ViewKind kind>
Value dict_view(Rendering& rendering, const Value& self, const Arguments& arguments) {
  Bound("keys, values or items", arguments, {});
  return make_view(rendering, self, kind);
}

}  // namespace

const std::vector<Method>& list_methods() {
  static const std::vector<Method> kMethods = {{"count", list_count}, {"index", list_index}, {"copy", copy}};
  return kMethods;
}

const std::vector<Method>& dict_methods() {
  static const std::vector<Method> kMethods = {{"get", dict_get},
                                               {"items", dict_view<ViewKind::kItems>},
                                               {"keys", dict_view<ViewKind::kKeys>},
                                               {"values", dict_view<ViewKind::kValues>},
                                               {"copy", copy},
                                               {"fromkeys", nullptr}};
  return kMethods;
}

const Method* find_method(const Value& self, std::string_view name) {
  switch (self.kind()) {
    case Kind::kString: {
      const Method* method = find_in(string_methods(), name);
      return method != nullptr ? method : find_in(string_search_methods(), name);
    }
    case Kind::kList:
      return find_in(list_methods(), name);
    case Kind::kTuple:
      return name == "copy" ? nullptr : find_in(list_methods(), name);
    case Kind::kDict:
      return find_in(dict_methods(), name);
    case Kind::kRange: {
      const bool is_known = name == "start" || name == "stop" || name == "step" || name == "count" || name == "index";
      check_supported(!is_known, "the attribute '", name, "' of a range");
      return nullptr;
    }
    default:
      return nullptr;
  }
}

Value call_method(Rendering& rendering, const Value& self, const Method& method, const Arguments& arguments) {
  rendering.step();
  check_supported(method.call != nullptr, "the method '", method.name, "' of ", type_name(self));
  check_supported(!self.is_markup(), "methods of escaped text");
  return method.call(rendering, self, arguments);
}

Value call_value(Rendering& rendering, const Value& function, const Arguments& arguments) {
  check_argument(!function.is(Kind::kUndefined), function.undefined_message());
  check_argument(function.is(Kind::kObject), "'", type_name(function), "' object is not callable");
  const Rendering::Level level(rendering);
  return function.object().call(rendering, arguments);
}

}  // namespace tca::runtime::jinja
