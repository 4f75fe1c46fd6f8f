// Filters over sequences as a whole.
#include <algorithm>

#include "core/check.h"
#include "runtime/jinja/arguments.h"
#include "runtime/jinja/attributes.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/dict.h"
#include "runtime/jinja/item_getter.h"
#include "runtime/jinja/operators.h"
#include "runtime/jinja/registry.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/sequence.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

struct Keyed {
  Value key, item;
};

// Stable in both directions, as Python's sorted.
void sort_by_key(Rendering& rendering, std::vector<Keyed>& items, bool is_reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    rendering.step();
    return is_reverse ? less(b.key, a.key) : less(a.key, b.key);
  });
}

Value::Items items_of(std::vector<Keyed> keyed) {
  Value::Items items;
  for (Keyed& entry : keyed) items.push_back(std::move(entry.item));
  return items;
}

Value length_filter(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("length", arguments, {});
  const auto size = length(rendering, input);
  check_argument(size.has_value(), "object of type '", type_name(input), "' has no len()");
  return Value::integer(*size);
}

Value first(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("first", arguments, {});
  Cursor cursor(rendering, input);
  Value item;
  return cursor.next(item) ? item : Value::undefined("No first item, sequence was empty.");
}

Value last(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("last", arguments, {});
  const auto backwards = reversed(rendering, input);
  check_argument(backwards.has_value(), "'", type_name(input), "' object is not reversible");
  Cursor cursor(rendering, *backwards);
  Value item;
  return cursor.next(item) ? item : Value::undefined("No last item, sequence was empty.");
}

Value list(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("list", arguments, {});
  return Value::list(to_items(rendering, input));
}

Value reverse(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("reverse", arguments, {});
  if (input.is_string()) return get_slice(rendering, input, Value::none(), Value::none(), Value::integer(-1));
  if (const auto backwards = reversed(rendering, input)) return *backwards;
  Value::Items items = to_items(rendering, input);
  std::reverse(items.begin(), items.end());
  return Value::list(std::move(items));
}

Value sort(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  const bool with_case = bound.truth(rendering, 1);
  const std::vector<ItemGetter> getters = ItemGetter::split(bound.get(2, Value::none()));
  std::vector<Keyed> keyed;
  for (Value& item : to_items(rendering, input)) {
    Value::Items key;
    for (const ItemGetter& getter : getters) {
      const Value part = getter(rendering, item);
      key.push_back(with_case ? part : without_case(rendering, part));
    }
    rendering.count_items(2 + key.size());
    keyed.push_back({Value::list(std::move(key)), std::move(item)});
  }
  sort_by_key(rendering, keyed, bound.truth(rendering, 0));
  return Value::list(items_of(std::move(keyed)));
}

Value dict_sort(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  check_argument(!input.is(Kind::kUndefined), input.undefined_message());
  check_argument(input.is(Kind::kDict), "dictsort: '", type_name(input), "' object is no dict");
  const std::string by = bound.has(1) && bound[1]->is_string() ? bound.text(1).bytes() : bound.has(1) ? "" : "key";
  check_argument(by == "key" || by == "value", "dictsort: You can only sort by either \"key\" or \"value\"");
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : input.dict().entries()) {
    rendering.count_items(4);
    const Value& sorted_by = by == "key" ? key : value;
    keyed.push_back(
        {bound.truth(rendering, 0) ? sorted_by : without_case(rendering, sorted_by), Value::tuple({key, value})});
  }
  sort_by_key(rendering, keyed, bound.truth(rendering, 2));
  return Value::list(items_of(std::move(keyed)));
}

// Neighbours of a sorted list whose keys are equal, as pairs of a key and its items.
Value group_by(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const bool with_case = bound.truth(rendering, 2);
  const ItemGetter getter(*bound[0], bound.get(1, Value::none()));
  std::vector<Keyed> keyed;
  for (Value& item : to_items(rendering, input)) {
    const Value key = getter(rendering, item);
    keyed.push_back({with_case ? key : without_case(rendering, key), std::move(item)});
  }
  sort_by_key(rendering, keyed, false);
  Value::Items groups;
  for (std::size_t begin = 0; begin < keyed.size();) {
    Value::Items members;
    std::size_t end = begin;
    for (; end < keyed.size() && equal(keyed[end].key, keyed[begin].key); ++end) members.push_back(keyed[end].item);
    rendering.count_items(members.size() + 3);
    Value name = with_case ? keyed[begin].key : getter(rendering, members.front());
    groups.push_back(Value::tuple({std::move(name), Value::list(std::move(members))}));
    begin = end;
  }
  return Value::list(std::move(groups));
}

template <bool is_max>
Value extreme(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound(is_max ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const bool with_case = bound.truth(rendering, 0);
  const ItemGetter getter(bound.get(1, Value::none()));
  Cursor cursor(rendering, input);
  Value best, best_key;
  if (!cursor.next(best)) return Value::undefined("No aggregated item, sequence was empty.");
  const auto key_of = [&](const Value& item) {
    const Value key = getter(rendering, item);
    return with_case ? key : without_case(rendering, key);
  };
  best_key = key_of(best);
  for (Value item; cursor.next(item);) {
    Value key = key_of(item);
    if (!ordered(is_max ? Order::kGreater : Order::kLess, key, best_key)) continue;
    best = item;
    best_key = std::move(key);
  }
  return best;
}

Value sum(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("sum", arguments, {"attribute", "start"});
  const ItemGetter getter(bound.get(0, Value::none()));
  Value result = bound.get(1, Value::integer(0));
  check_argument(!result.is_string(), "sum() can't sum strings [use ''.join(seq) instead]");
  Cursor cursor(rendering, input);
  for (Value item; cursor.next(item);) {
    result = binary(rendering, Operator::kAdd, result, getter(rendering, item));
  }
  return result;
}

Value items_filter(Rendering& rendering, const Value& input, const Arguments& arguments) {
  Bound("items", arguments, {});
  if (input.is(Kind::kDict)) {
    return make_iterator(rendering, [input, i = std::size_t{0}](Rendering& r, Value& item) mutable {
      if (i == input.dict().size()) return false;
      const auto& [key, value] = input.dict().entries()[i++];
      r.count_items(2);
      item = Value::tuple({key, value});
      return true;
    });
  }
  return make_iterator(rendering, [input](Rendering&, Value&) {
    check_argument(input.is(Kind::kUndefined), "Can only get item pairs from a mapping.");
    return false;
  });
}

Value batch(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("batch", arguments, {"linecount", "fill_with"}, 1);
  const std::int64_t count = bound.integer(0, 0);
  const Value fill = bound.get(1, Value::none());
  auto cursor = std::make_shared<Cursor>(rendering, input);
  return make_iterator(rendering, [=, pending = std::optional<Value>()](Rendering& r, Value& line) mutable {
    Value::Items items;
    if (pending) items.push_back(*std::exchange(pending, std::nullopt));
    for (Value item; cursor->next(item);) {
      if (static_cast<std::int64_t>(items.size()) == count) {
        pending = item;
        line = Value::list(std::move(items));
        return true;
      }
      r.count_items(1);
      items.push_back(item);
    }
    if (items.empty()) return false;
    const std::int64_t missing = count - static_cast<std::int64_t>(items.size());
    if (!fill.is(Kind::kNone) && missing > 0) {
      r.count_items(static_cast<std::size_t>(missing));
      items.insert(items.end(), static_cast<std::size_t>(missing), fill);
    }
    line = Value::list(std::move(items));
    return true;
  });
}

Value slice_filter(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("slice", arguments, {"slices", "fill_with"}, 1);
  const std::int64_t slices = bound.integer(0, 0);
  const Value fill = bound.get(1, Value::none());
  check_argument(slices != 0, "slice: integer division or modulo by zero");
  check_supported(slices > 0, "slice: a negative number of slices");
  const Value all = Value::list(to_items(rendering, input));
  return make_iterator(rendering, [=, number = std::int64_t{0}](Rendering& r, Value& slice) mutable {
    if (number == slices) return false;
    const auto size = static_cast<std::int64_t>(all.items().size());
    const std::int64_t each = size / slices;
    const std::int64_t with_one_more = size % slices;
    const std::int64_t begin = number * each + std::min(number, with_one_more);
    const std::int64_t end = begin + each + (number < with_one_more);
    Value::Items items(all.items().begin() + begin, all.items().begin() + end);
    if (!fill.is(Kind::kNone) && number >= with_one_more) items.push_back(fill);
    r.count_items(items.size() + 1);
    ++number;
    slice = Value::list(std::move(items));
    return true;
  });
}

Value default_filter(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("default", arguments, {"default_value", "boolean"});
  const bool is_replaced = input.is(Kind::kUndefined) || (bound.truth(rendering, 1) && !truth(rendering, input));
  return is_replaced ? bound.get(0, Value::string(Text())) : input;
}

Value attr(Rendering& rendering, const Value& input, const Arguments& arguments) {
  const Bound bound("attr", arguments, {"name"}, 1);
  check_argument(!input.is(Kind::kUndefined), input.undefined_message());
  const std::string& name = bound.text(0).bytes();
  return own_attribute(rendering, input, name).value_or(Value::undefined("there is no attribute '" + name + "'"));
}

}  // namespace

const std::vector<Filter>& sequence_filters() {
  static const std::vector<Filter> kFilters = {{"length", length_filter},
                                               {"count", length_filter},
                                               {"first", first},
                                               {"last", last},
                                               {"list", list},
                                               {"reverse", reverse},
                                               {"sort", sort},
                                               {"dictsort", dict_sort},
                                               {"groupby", group_by},
                                               {"min", extreme<false>},
                                               {"max", extreme<true>},
                                               {"sum", sum},
                                               {"items", items_filter},
                                               {"batch", batch},
                                               {"slice", slice_filter},
                                               {"default", default_filter},
                                               {"d", default_filter},
                                               {"attr", attr}};
  return kFilters;
}

}  // namespace tca::runtime::jinja
