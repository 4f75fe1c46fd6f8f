// json.dumps of Python.
#pragma once

#include <optional>
#include <string>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

struct JsonForm {
  bool ensure_ascii = false;
  std::optional<std::string> indent;  // nothing: one line
  Text item_separator{", "};
  Text key_separator{": "};
  bool sorts_keys = false;
};
/// Wholly foreign when anything in it is, since what stands in the text depends on it. Throws kInvalidArgument for what
/// JSON has no form of.
Text to_json(Rendering& rendering, const Value& value, const JsonForm& form);

}  // namespace tca::runtime::jinja
