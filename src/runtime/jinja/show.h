// Values as text: Python's str and repr.
#pragma once

#include <string>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

/// Throw kUnsupported for what Python shows with its address.
Text to_text(Rendering& rendering, const Value& value);
Text repr(Rendering& rendering, const Value& value);
/// repr of a name in messages of errors.
std::string quoted(const std::string& text);

/// repr(float): the shortest digits that read back the same.
std::string show_real(double value);

}  // namespace tca::runtime::jinja
