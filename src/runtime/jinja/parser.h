// Tokens to a program.
#pragma once

#include <string_view>

#include "runtime/jinja/ast.h"

namespace tca::runtime::jinja {

/// Throws tca::Error with "<line>: ..." as tokenize does. Names are not resolved yet.
Statements parse_statements(std::string_view source);

}  // namespace tca::runtime::jinja
