// What lives for one rendering: namespaces, iterators, functions. Owned by the rendering, so that they may refer to
// each other in circles.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/jinja/value.h"

namespace tca::runtime::jinja {

class Rendering;
class Iterator;

/// Of a call.
struct Arguments {
  Value::Items positional;
  std::vector<std::pair<std::string, Value>> named;
};

class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;

  /// Python's name of the type.
  virtual std::string_view type_name() const = 0;
  /// Python compares such objects by what is in them (views of dicts).
  virtual bool compares_by_content() const { return false; }

  /// An attribute in Python's sense.
  virtual std::optional<Value> attribute(Rendering&, std::string_view) { return std::nullopt; }
  virtual bool is_callable() const { return false; }
  /// Throws kInvalidArgument where Python does.
  virtual Value call(Rendering& rendering, const Arguments& arguments);
  /// nullptr for what cannot be iterated.
  virtual Iterator* iterate(Rendering&) { return nullptr; }
  /// The same from the end.
  virtual Iterator* iterate_backwards(Rendering&) { return nullptr; }
  virtual std::optional<std::int64_t> length(Rendering&) { return std::nullopt; }
  /// Python's repr. Nothing where that shows an address.
  virtual std::optional<Text> shown(Rendering&) { return std::nullopt; }
};

/// Goes through items once.
class Iterator : public Object {
 public:
  std::string_view type_name() const override { return "generator"; }
  Iterator* iterate(Rendering&) override { return this; }
  /// false at the end.
  virtual bool next(Rendering& rendering, Value& item) = 0;
};

}  // namespace tca::runtime::jinja
