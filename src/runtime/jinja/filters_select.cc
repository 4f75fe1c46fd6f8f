// map, select, reject and unique: lazy, as in Jinja.
#include <memory>
#include <optional>

#include "core/check.h"
#include "runtime/jinja/arguments.h"
#include "runtime/jinja/dict.h"
#include "runtime/jinja/item_getter.h"
#include "runtime/jinja/registry.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/sequence.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

std::string name_of(const Value& value, std::string_view kind) {
  check_argument(value.is_string(), "the name of a ", kind, " is no string");
  return value.text().bytes();
}

// What is false holds nothing, whatever it is.
std::optional<Cursor> cursor_of(Rendering& rendering, const Value& input) {
  return truth(rendering, input) ? std::optional<Cursor>(std::in_place, rendering, input) : std::nullopt;
}

// An iterator over a cursor that begins when it is first asked. change(item) says whether the item, perhaps changed,
// is one.
template <class Change>
Value lazy(Rendering& rendering, const Value& input, Change change) {
  auto cursor = std::make_shared<std::optional<Cursor>>();
  return make_iterator(rendering, [=, has_begun = false](Rendering& r, Value& item) mutable {
    if (!std::exchange(has_begun, true)) {
      if (auto begun = cursor_of(r, input)) cursor->emplace(*begun);
    }
    while (cursor->has_value() && (*cursor)->next(item)) {
      if (change(r, item)) return true;
    }
    return false;
  });
}

Value map(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const auto find_named = [&](std::string_view name) -> const Value* {
    for (const auto& [known, value] : arguments.named) {
      if (known == name) return &value;
    }
    return nullptr;
  };
  if (arguments.positional.empty() && find_named("attribute") != nullptr) {
    const Value* otherwise = find_named("default");
    check_argument(arguments.named.size() == (otherwise == nullptr ? 1u : 2u), "map: unexpected keyword argument");
    const ItemGetter getter(*find_named("attribute"), otherwise == nullptr ? Value::none() : *otherwise);
    return lazy(rendering, input, [getter](Rendering& r, Value& item) {
      item = getter(r, item);
      return true;
    });
  }
  return lazy(rendering, input, [arguments](Rendering& r, Value& item) {
    check_argument(!arguments.positional.empty(), "map requires a filter argument");
    const Arguments rest{{arguments.positional.begin() + 1, arguments.positional.end()}, arguments.named};
    item = apply_filter(r, name_of(arguments.positional[0], "filter"), item, rest);
    return true;
  });
}

template <bool wanted, bool by_attribute>
Value select(Rendering& rendering, const Value& input, const Arguments& arguments) {
  return lazy(rendering, input, [arguments](Rendering& r, Value& item) {
    const Value::Items& all = arguments.positional;
    check_argument(!by_attribute || !all.empty(), "Missing parameter for attribute name");
    const std::size_t test = by_attribute ? 1 : 0;
    const Value tested = by_attribute ? ItemGetter(all[0])(r, item) : item;
    if (all.size() <= test) return truth(r, tested) == wanted;
    const Arguments rest{{all.begin() + static_cast<std::ptrdiff_t>(test) + 1, all.end()}, arguments.named};
    return apply_test(r, name_of(all[test], "test"), tested, rest) == wanted;
  });
}

Value unique(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("unique", arguments, {"case_sensitive", "attribute"});
  const bool with_case = bound.truth(rendering, 0);
  const ItemGetter getter(bound.get(1, Value::none()));
  auto seen = std::make_shared<Dict>();
  auto cursor = std::make_shared<std::optional<Cursor>>();
  return make_iterator(rendering, [=](Rendering& r, Value& item) {
    if (!cursor->has_value()) cursor->emplace(r, input);
    while ((*cursor)->next(item)) {
      Value key = getter(r, item);
      if (!with_case) key = without_case(r, key);
      if (seen->find(key) != nullptr) continue;
      r.count_items(2);
      seen->set(std::move(key), Value::none());
      return true;
    }
    return false;
  });
}

}  // namespace

const std::vector<Filter>& selecting_filters() {
  static const std::vector<Filter> kFilters = {{"map", map},
                                               {"select", select<true, false>},
                                               {"reject", select<false, false>},
                                               {"selectattr", select<true, true>},
                                               {"rejectattr", select<false, true>},
                                               {"unique", unique}};
  return kFilters;
}

}  // namespace tca::runtime::jinja
