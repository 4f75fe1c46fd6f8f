// Which variable a name is: decided once, when a template is parsed.
#pragma once

#include "runtime/jinja/ast.h"

namespace tca::runtime::jinja {

/// Binds every name of the program and checks the names of filters and tests. Throws tca::Error with "<line>: ...".
void resolve_names(Program& program);

}  // namespace tca::runtime::jinja
