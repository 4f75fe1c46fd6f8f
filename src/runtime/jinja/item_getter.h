// The `attribute` argument of filters: "name", "name.0.other", 3.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

class ItemGetter {
 public:
  /// attribute None: the item itself. otherwise: what undefined parts become, unless None.
  explicit ItemGetter(const Value& attribute, Value otherwise = Value::none());
  Value operator()(Rendering& rendering, Value item) const;

  /// "a,b" as one getter for each.
  static std::vector<ItemGetter> split(const Value& attribute);

 private:
  std::vector<Value> parts_;
  Value otherwise_;
};

/// Strings in lower case, all else as it is.
Value without_case(Rendering& rendering, const Value& value);

}  // namespace tca::runtime::jinja
