#include "runtime/jinja/sequence.h"

#include <algorithm>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/dict.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

class View : public Object {
 public:
  View(Value dict, ViewKind kind) : dict_(std::move(dict)), kind_(kind) {}

  std::string_view type_name() const override {
    return kind_ == ViewKind::kKeys ? "dict_keys" : kind_ == ViewKind::kValues ? "dict_values" : "dict_items";
  }
  bool compares_by_content() const override { return kind_ != ViewKind::kValues; }
  std::optional<std::int64_t> length(Rendering&) override { return static_cast<std::int64_t>(size()); }
  Iterator* iterate(Rendering& rendering) override { return iterate(rendering, false); }
  Iterator* iterate_backwards(Rendering& rendering) override { return iterate(rendering, true); }
  std::optional<Text> shown(Rendering& rendering) override {
    TextBuilder out(rendering);
    out.append(type_name());
    out.append("([");
    for (std::size_t i = 0; i < size(); ++i) {
      if (i > 0) out.append(", ");
      out.append(repr(rendering, item(i)));
    }
    out.append("])");
    return out.take();
  }

 private:
  std::size_t size() const { return dict_.dict().size(); }
  Value item(std::size_t i) const {
    const auto& [key, value] = dict_.dict().entries()[i];
    if (kind_ == ViewKind::kItems) return Value::tuple({key, value});
    return kind_ == ViewKind::kKeys ? key : value;
  }
  Iterator* iterate(Rendering& rendering, bool backwards) {
    std::size_t position = 0;
    return &rendering.make<FunctionIterator>([this, position, backwards](Rendering&, Value& result) mutable {
      if (position == size()) return false;
      result = item(backwards ? size() - 1 - position : position);
      ++position;
      return true;
    });
  }

  Value dict_;
  ViewKind kind_;
};

bool contains_text(const Text& container, const Value& item) {
  check_argument(item.is_string(), "'in <string>' requires string as left operand, not ", type_name(item));
  return container.bytes().find(item.text().bytes()) != std::string::npos;
}

std::optional<std::int64_t> sequence_length(const Value& value) {
  switch (value.kind()) {
    case Kind::kString:
      return static_cast<std::int64_t>(length_of(value.text().bytes()));
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<std::int64_t>(value.items().size());
    case Kind::kDict:
      return static_cast<std::int64_t>(value.dict().size());
    case Kind::kRange:
      return value.range().size();
    case Kind::kUndefined:
      return 0;
    default:
      return std::nullopt;
  }
}

}  // namespace

Value Object::call(Rendering&, const Arguments&) {
  fail(ErrorCategory::kInvalidArgument, text("'", type_name(), "' object is not callable"));
}

Cursor::Cursor(Rendering& rendering, const Value& value) : rendering_(rendering), value_(value) {
  if (value.is(Kind::kObject)) iterator_ = value.object().iterate(rendering);
  const bool fine = iterator_ != nullptr || (!value.is(Kind::kObject) && sequence_length(value).has_value());
  check_argument(fine, "'", type_name(value), "' object is not iterable");
}

bool Cursor::next(Value& item) {
  rendering_.step();
  if (iterator_ != nullptr) return iterator_->next(rendering_, item);
  switch (value_.kind()) {
    case Kind::kString: {
      const Text& whole = value_.text();
      if (position_ == whole.size()) return false;
      const std::size_t begin = position_;
      next_code_point(whole.bytes(), position_);
      rendering_.count_bytes(sizeof(Text));
      item = Value::string(whole.slice(begin, position_));
      return true;
    }
    case Kind::kList:
    case Kind::kTuple:
      if (position_ == value_.items().size()) return false;
      item = value_.items()[position_++];
      return true;
    case Kind::kDict:
      if (position_ == value_.dict().size()) return false;
      item = value_.dict().entries()[position_++].first;
      return true;
    case Kind::kRange: {
      const Range& range = value_.range();
      if (position_ == static_cast<std::size_t>(range.size())) return false;
      item = Value::integer(range.start + static_cast<std::int64_t>(position_++) * range.step);
      return true;
    }
    default:
      return false;
  }
}

bool is_iterable(const Value& value, Rendering& rendering) {
  if (value.is(Kind::kObject)) return value.object().iterate(rendering) != nullptr;
  return sequence_length(value).has_value();
}

std::optional<std::int64_t> length(Rendering& rendering, const Value& value) {
  if (value.is(Kind::kObject)) return value.object().length(rendering);
  if (value.is_string()) rendering.step(static_cast<std::int64_t>(value.text().size() / 256));
  return sequence_length(value);
}

Value::Items to_items(Rendering& rendering, const Value& value) {
  if (value.is(Kind::kList) || value.is(Kind::kTuple)) {
    rendering.count_items(value.items().size());
    return value.items();
  }
  Value::Items items;
  Cursor cursor(rendering, value);
  for (Value item; cursor.next(item);) {
    rendering.count_items(1);
    items.push_back(item);
  }
  return items;
}

bool truth(Rendering& rendering, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInteger:
      return value.as_integer() != 0;
    case Kind::kFloat:
      return value.as_real() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kObject:
      return value.object().length(rendering).value_or(1) != 0;
    default:
      return sequence_length(value) != 0;
  }
}

bool contains(Rendering& rendering, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      rendering.step(static_cast<std::int64_t>(container.text().size() / 256));
      return contains_text(container.text(), item);
    case Kind::kDict:
      return container.dict().find(item) != nullptr;
    default: {
      const bool fine = is_iterable(container, rendering);
      check_argument(fine, "argument of type '", type_name(container), "' is not iterable");
      Cursor cursor(rendering, container);
      for (Value other; cursor.next(other);) {
        if (equal(other, item)) return true;
      }
      return false;
    }
  }
}

bool FunctionIterator::next(Rendering& rendering, Value& item) {
  const Rendering::Level level(rendering);  // iterators over iterators
  return next_(rendering, item);
}

Value make_iterator(Rendering& rendering, FunctionIterator::Next next) {
  return Value::object(rendering.make<FunctionIterator>(std::move(next)));
}

std::optional<Value> reversed(Rendering& rendering, const Value& value) {
  if (value.is(Kind::kObject)) {
    Iterator* iterator = value.object().iterate_backwards(rendering);
    return iterator == nullptr ? std::nullopt : std::optional<Value>(Value::object(*iterator));
  }
  if (!sequence_length(value)) return std::nullopt;
  const Value items = Value::list(to_items(rendering, value));
  return make_iterator(rendering, [items, left = items.items().size()](Rendering&, Value& item) mutable {
    if (left == 0) return false;
    item = items.items()[--left];
    return true;
  });
}

Value make_view(Rendering& rendering, const Value& dict, ViewKind kind) {
  return Value::object(rendering.make<View>(dict, kind));
}

}  // namespace tca::runtime::jinja
