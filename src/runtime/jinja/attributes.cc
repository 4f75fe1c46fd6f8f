#include "runtime/jinja/attributes.h"

#include <algorithm>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/dict.h"
#include "runtime/jinja/methods.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

class BoundMethod : public Object {
 public:
  BoundMethod(Value self, const Method& method) : self_(std::move(self)), method_(method) {}
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  bool is_callable() const override { return true; }
  Value call(Rendering& rendering, const Arguments& arguments) override {
    return call_method(rendering, self_, method_, arguments);
  }

 private:
  Value self_;
  const Method& method_;
};

std::string described(const Value& value) {
  if (value.is(Kind::kNone)) return "None";
  return std::string(type_name(value)) + " object";
}

Value undefined_name(const Value& of, const std::string& name) {
  return Value::undefined(text("'", described(of), "' has no attribute ", quoted(name)));
}

bool is_hidden(std::string_view name) { return name.substr(0, 1) == "_"; }

// obj[key] of Python; nothing where that raises TypeError or LookupError.
std::optional<Value> own_item(Rendering& rendering, const Value& of, const Value& key) {
  if (of.is(Kind::kDict)) {
    if (key.is(Kind::kList) || key.is(Kind::kDict)) return std::nullopt;  // no hash: TypeError
    const Value* value = of.dict().find(key);
    return value == nullptr ? std::nullopt : std::optional<Value>(*value);
  }
  if (!key.is_integer()) return std::nullopt;
  std::int64_t index = key.as_integer();
  const auto position = [&](std::int64_t size) -> std::optional<std::size_t> {
    if (index < 0) index += size;
    return index < 0 || index >= size ? std::nullopt : std::optional<std::size_t>(index);
  };
  if (of.is(Kind::kList) || of.is(Kind::kTuple)) {
    const auto at = position(static_cast<std::int64_t>(of.items().size()));
    return at ? std::optional<Value>(of.items()[*at]) : std::nullopt;
  }
  if (of.is_string()) {
    const std::string& bytes = of.text().bytes();
    rendering.step(static_cast<std::int64_t>(bytes.size() / 256));
    const auto at = position(static_cast<std::int64_t>(length_of(bytes)));
    if (!at) return std::nullopt;
    const std::size_t begin = byte_of(bytes, *at);
    std::size_t end = begin;
    next_code_point(bytes, end);
    return Value::string(of.text().slice(begin, end));
  }
  if (of.is(Kind::kRange)) {
    const auto at = position(of.range().size());
    if (!at) return std::nullopt;
    return Value::integer(of.range().start + static_cast<std::int64_t>(*at) * of.range().step);
  }
  return std::nullopt;
}

// Integers and floats have attributes too, which no template needs.
void refuse_number_attribute(const Value& of, const std::string& name) {
  constexpr std::string_view kNames[] = {"real",       "imag",      "numerator",  "denominator", "bit_length",
                                         "bit_count",  "conjugate", "from_bytes", "to_bytes",    "as_integer_ratio",
                                         "is_integer", "fromhex",   "hex"};
  if (!of.is_number()) return;
  const bool is_known = std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
  check_supported(!is_known, "the attribute '", name, "' of a number");
}

// Where a slice of `size` items begins and ends, as Python clips it.
struct Bounds {
  std::int64_t start, stop, step;
};

std::int64_t bound_of(const Value& value, std::int64_t otherwise, std::int64_t size, std::int64_t low,
                      std::int64_t high) {
  if (value.is(Kind::kNone)) return otherwise;
  std::int64_t index = value.as_integer();
  if (index < 0) index = index < -size ? low : index + size;
  return std::clamp(index, low, high);
}

Bounds clip(const Value& start, const Value& stop, const Value& step, std::int64_t size) {
  Bounds bounds{0, 0, 1};
  if (!step.is(Kind::kNone)) {
    bounds.step = step.as_integer();
    check_argument(bounds.step != 0, "slice step cannot be zero");
    bounds.step = std::max(bounds.step, -INT64_MAX);
  }
  const bool forward = bounds.step > 0;
  const std::int64_t low = forward ? 0 : -1;
  const std::int64_t high = forward ? size : size - 1;
  bounds.start = bound_of(start, forward ? low : high, size, low, high);
  bounds.stop = bound_of(stop, forward ? high : low, size, low, high);
  return bounds;
}

// action(i) for each index of the slice.
template <class Action>
void for_each_index(const Bounds& bounds, const Action& action) {
  const auto is_inside = [&](std::int64_t i) { return bounds.step > 0 ? i < bounds.stop : i > bounds.stop; };
  for (std::int64_t i = bounds.start; is_inside(i);) {
    action(static_cast<std::size_t>(i));
    if (__builtin_add_overflow(i, bounds.step, &i)) break;
  }
}

Text slice_text(Rendering& rendering, const Text& text, const Value& start, const Value& stop, const Value& step) {
  const std::string& bytes = text.bytes();
  rendering.step(static_cast<std::int64_t>(bytes.size() / 256));
  const auto size = static_cast<std::int64_t>(length_of(bytes));
  const Bounds bounds = clip(start, stop, step, size);
  TextBuilder out(rendering);
  if (bounds.step == 1) {
    if (bounds.start >= bounds.stop) return {};
    const std::size_t begin = byte_of(bytes, static_cast<std::size_t>(bounds.start));
    const std::string_view rest = std::string_view(bytes).substr(begin);
    out.append(text, begin, begin + byte_of(rest, static_cast<std::size_t>(bounds.stop - bounds.start)));
    return out.take();
  }
  rendering.count_bytes(bytes.size() * sizeof(std::size_t));
  std::vector<std::size_t> starts;
  for (std::size_t position = 0; position < bytes.size(); next_code_point(bytes, position)) starts.push_back(position);
  starts.push_back(bytes.size());
  for_each_index(bounds, [&](std::size_t i) { out.append(text, starts[i], starts[i + 1]); });
  return out.take();
}

Value slice_range(const Range& range, const Value& start, const Value& stop, const Value& step) {
  const Bounds bounds = clip(start, stop, step, range.size());
  return Value::range(
      {range.start + bounds.start * range.step, range.start + bounds.stop * range.step, range.step * bounds.step});
}

}  // namespace

std::optional<Value> own_attribute(Rendering& rendering, const Value& of, const std::string& name) {
  if (is_hidden(name)) return std::nullopt;
  if (of.is(Kind::kObject)) return of.object().attribute(rendering, name);
  refuse_number_attribute(of, name);
  // The pairs of groupby are named tuples, which this interpreter does not tell from others.
  check_supported(!of.is(Kind::kTuple) || (name != "grouper" && name != "list"), "the attribute '", name,
                  "' of a tuple; take a group's two parts by position");
  const Method* method = find_method(of, name);
  if (method == nullptr) return std::nullopt;
  return Value::object(rendering.make<BoundMethod>(of, *method));
}

Value get_attribute(Rendering& rendering, const Value& of, const std::string& name) {
  check_argument(!of.is(Kind::kUndefined), of.undefined_message());
  if (auto value = own_attribute(rendering, of, name)) return *value;
  if (of.is(Kind::kDict)) {
    if (const Value* value = of.dict().find(std::string_view(name))) return *value;
  }
  return undefined_name(of, name);
}

Value get_item(Rendering& rendering, const Value& of, const Value& key) {
  check_argument(!of.is(Kind::kUndefined), of.undefined_message());
  if (auto value = own_item(rendering, of, key)) return *value;
  if (!key.is_string()) {
    return Value::undefined(text(described(of), " has no element ", repr(rendering, key).bytes()));
  }
  if (auto value = own_attribute(rendering, of, key.text().bytes())) return *value;
  return undefined_name(of, key.text().bytes());
}

Value get_slice(Rendering& rendering, const Value& of, const Value& start, const Value& stop, const Value& step) {
  check_argument(!of.is(Kind::kUndefined), of.undefined_message());
  // Python raises TypeError; but Jinja makes an undefined value of it where all parts are constants.
  for (const Value* bound : {&start, &stop, &step}) {
    check_supported(bound->is(Kind::kNone) || bound->is_integer(), "a slice's bound is no integer but ",
                    type_name(*bound));
  }
  if (of.is_string()) {
    Text text = slice_text(rendering, of.text(), start, stop, step);
    return of.is_markup() ? Value::markup(std::move(text)) : Value::string(std::move(text));
  }
  if (of.is(Kind::kRange)) return slice_range(of.range(), start, stop, step);
  check_supported(of.is(Kind::kList) || of.is(Kind::kTuple), "'", type_name(of), "' object cannot be sliced");
  Value::Items items;
  for_each_index(clip(start, stop, step, static_cast<std::int64_t>(of.items().size())), [&](std::size_t i) {
    rendering.step();
    rendering.count_items(1);
    items.push_back(of.items()[i]);
  });
  return of.is(Kind::kList) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

}  // namespace tca::runtime::jinja
