// What lives for one rendering: namespaces, iterators, functions. Owned by the evaluator, so that they may refer to
// each other in circles.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/jinja/value.h"

namespace tca::runtime::jinja {

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
};

}  // namespace tca::runtime::jinja
