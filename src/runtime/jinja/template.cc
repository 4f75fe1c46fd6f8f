#include "runtime/jinja/template.h"

#include <utility>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/ast.h"
#include "runtime/jinja/evaluator.h"
#include "runtime/jinja/parser.h"
#include "runtime/jinja/scopes.h"

namespace tca::runtime::jinja {

Template Template::parse(std::string_view source, std::string name_for_errors) {
  constexpr std::size_t kMaxSource = std::size_t{1} << 24;
  check_supported(source.size() <= kMaxSource, name_for_errors, ": a template of more than ", kMaxSource, " bytes");
  auto program = std::make_shared<Program>();
  program->name = std::move(name_for_errors);
  try {
    std::string storage;
    program->body = parse_statements(repair_utf8(source, storage));
    resolve_names(*program);
  } catch (const Error& error) {
    fail(error.category(), text(program->name, ":", error.what()));
  }
  return Template(std::move(program));
}

Rendered Template::render(const Value& globals, const RenderOptions& options) const {
  Evaluator evaluator(*program_, globals, options);
  try {
    return evaluator.run();
  } catch (const Error& error) {
    fail(error.category(), text(program_->name, ":", evaluator.line(), ": ", error.what()));
  }
}

}  // namespace tca::runtime::jinja
