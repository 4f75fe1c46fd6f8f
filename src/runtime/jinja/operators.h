// + - * / // % ** and signs, as Python computes them.
#pragma once

#include <cstdint>

#include "runtime/jinja/ast.h"
#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

/// Throw kInvalidArgument where Python raises, kUnsupported for integers of more than 64 bits.
Value binary(Rendering& rendering, Operator op, const Value& left, const Value& right);
Value unary(Operator op, const Value& value);
/// == != < <= > >= in, not in
bool compare(Rendering& rendering, Operator op, const Value& left, const Value& right);
/// Text over and over.
Text repeat(Rendering& rendering, const Text& text, std::int64_t count);
/// What Jinja's ~ does.
Value concatenate(Rendering& rendering, const Value::Items& parts);
/// & < > ' " as HTML writes them; markup stays.
Text escape_html(Rendering& rendering, const Value& value);

}  // namespace tca::runtime::jinja
