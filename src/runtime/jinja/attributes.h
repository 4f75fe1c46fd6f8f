// `value.name`, `value[key]`, `value[start:stop:step]` in the sandbox.
#pragma once

#include <string>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

/// The attribute, or else the item, or else undefined.
Value get_attribute(Rendering& rendering, const Value& of, const std::string& name);
/// The item, or else the attribute, or else undefined.
Value get_item(Rendering& rendering, const Value& of, const Value& key);
/// The attribute alone; nothing where there is none.
std::optional<Value> own_attribute(Rendering& rendering, const Value& of, const std::string& name);
/// Bounds that are not given are None.
Value get_slice(Rendering& rendering, const Value& of, const Value& start, const Value& stop, const Value& step);

}  // namespace tca::runtime::jinja
