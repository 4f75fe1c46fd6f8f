// Iteration, length, truth and membership.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

/// Goes through what a value holds: items, characters, keys. Counts a step for each.
class Cursor {
 public:
  /// Throws kInvalidArgument for what cannot be iterated.
  Cursor(Rendering& rendering, const Value& value);
  bool next(Value& item);

 private:
  Rendering& rendering_;
  Value value_;
  std::size_t position_ = 0;  // an item; of a string, a byte
  Iterator* iterator_ = nullptr;
};

bool is_iterable(const Value& value, Rendering& rendering);
/// Python's len(); nothing where it fails.
std::optional<std::int64_t> length(Rendering& rendering, const Value& value);
/// Python's list().
Value::Items to_items(Rendering& rendering, const Value& value);
bool truth(Rendering& rendering, const Value& value);
/// `item in container`
bool contains(Rendering& rendering, const Value& container, const Value& item);

/// An iterator that asks a function for its items.
class FunctionIterator : public Iterator {
 public:
  using Next = std::function<bool(Rendering&, Value&)>;
  explicit FunctionIterator(Next next) : next_(std::move(next)) {}
  bool next(Rendering& rendering, Value& item) override;

 private:
  Next next_;
};
Value make_iterator(Rendering& rendering, FunctionIterator::Next next);

/// Through the same items from the end; nothing for what Python does not reverse.
std::optional<Value> reversed(Rendering& rendering, const Value& value);

/// dict.keys(), dict.values(), dict.items()
enum class ViewKind : std::uint8_t { kKeys, kValues, kItems };
Value make_view(Rendering& rendering, const Value& dict, ViewKind kind);

}  // namespace tca::runtime::jinja
