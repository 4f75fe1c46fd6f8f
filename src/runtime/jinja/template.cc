#include "runtime/jinja/template.h"

#include "core/check.h"

namespace tca::runtime::jinja {

struct Program {};

Template Template::parse(std::string_view, std::string name_for_errors) {
  fail(ErrorCategory::kUnsupported, text(name_for_errors, ": templates cannot be read yet"));
}

Rendered Template::render(const Value&, const RenderOptions&) const { return {}; }

}  // namespace tca::runtime::jinja
