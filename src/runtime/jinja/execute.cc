// Statements.
#include <utility>

#include "core/check.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/evaluator.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Statement::Kind;

}  // namespace

// Output goes into a text of its own while it exists.
class Evaluator::Capture {
 public:
  explicit Capture(Evaluator& evaluator)
      : evaluator_(evaluator), text_(evaluator.rendering_), outer_(std::exchange(evaluator.out_, &text_)) {}
  ~Capture() { evaluator_.out_ = outer_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  Text take() { return text_.take(); }

 private:
  Evaluator& evaluator_;
  TextBuilder text_;
  TextBuilder* outer_;
};

Evaluator::Evaluator(const Program& program, const Value& globals, const RenderOptions& options)
    : program_(program), rendering_(options), root_out_(rendering_) {
  check_argument(globals.is(Value::Kind::kDict), "a template's globals are no dict");
  for (const auto& [key, value] : globals.dict().entries()) {
    if (key.is_string()) context_.emplace(key.text().bytes(), value);
  }
}

Rendered Evaluator::run() {
  activation_ = &rendering_.make<Activation>(program_.root, nullptr);
  enter(program_.root.scope);
  execute(program_.body);
  return {root_out_.take(), std::move(generated_)};
}

Evaluator::Flow Evaluator::execute(const Statements& statements) {
  const Rendering::Level level(rendering_);
  for (const Statement& statement : statements) {
    rendering_.step();
    line_ = statement.line;
    const Flow flow = execute_kind(statement);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::execute_kind(const Statement& statement) {
  switch (statement.kind) {
    case Kind::kText:
      write(Text(statement.text));
      break;
    case Kind::kOutput:
      for (const ExpressionPtr& expression : statement.expressions) output(evaluate(*expression));
      break;
    case Kind::kIf:
      return if_block(statement);
    case Kind::kFor:
      return for_block(statement);
    case Kind::kSet:
      set(statement);
      break;
    case Kind::kSetBlock:
      return set_block(statement);
    case Kind::kMacro:
      slot(statement.target->variable) = make_macro(statement);
      break;
    case Kind::kCallBlock:
      call_block(statement);
      break;
    case Kind::kGeneration:
      generation(statement);
      break;
    case Kind::kFilterBlock:
      return filter_block(statement);
    case Kind::kWith:
      return with_block(statement);
    case Kind::kBreak:
      return Flow::kBreak;
    case Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

void Evaluator::write(const Text& text) {
  out_->append(text);
  const std::size_t limit = rendering_.limits().output_bytes;
  check_supported(root_out_.text().size() <= limit, "the rendered text is longer than ", limit, " bytes");
}

void Evaluator::output(const Value& value) { write(to_text(rendering_, value)); }

// Blocks join what they made without turning it into text first.
void Evaluator::output_string(const Value& value) {
  check_argument(value.is_string(), "a block's result is no string but ", type_name(value));
  write(value.text());
}

Evaluator::Flow Evaluator::if_block(const Statement& statement) {
  for (std::size_t i = 0; i < statement.expressions.size(); ++i) {
    if (is_true(*statement.expressions[i])) return execute(statement.bodies[i]);
  }
  const bool has_else = statement.bodies.size() > statement.expressions.size();
  return has_else ? execute(statement.bodies.back()) : Flow::kNext;
}

Evaluator::Flow Evaluator::with_block(const Statement& statement) {
  enter(statement.scope);
  for (std::size_t i = 0; i < statement.expressions.size(); ++i) {
    assign(*statement.expressions[i], evaluate(*statement.values[i]));
  }
  const Flow flow = execute(statement.bodies[0]);
  leave(statement.scope);
  return flow;
}

void Evaluator::check_namespaces(const Expression& target) {
  if (target.kind == Expression::Kind::kNamespace) {
    const Value& value = slot(target.variable);
    const bool fine = value.is(Value::Kind::kObject) && dynamic_cast<Namespace*>(&value.object()) != nullptr;
    check_argument(fine, "cannot assign attribute on non-namespace object");
  }
  for (const ExpressionPtr& part : target.operands) check_namespaces(*part);
}

void Evaluator::set(const Statement& statement) {
  check_namespaces(*statement.target);
  assign(*statement.target, evaluate(*statement.value));
}

Evaluator::Flow Evaluator::set_block(const Statement& statement) {
  enter(statement.scope);
  Flow flow = Flow::kNext;
  Text text;
  {
    Capture capture(*this);
    flow = execute(statement.bodies[0]);
    text = capture.take();
  }
  if (flow == Flow::kNext) {
    check_namespaces(*statement.target);
    block_ = text;
    assign(*statement.target, statement.value == nullptr ? Value::string(std::move(text)) : evaluate(*statement.value));
  }
  leave(statement.scope);
  return flow;
}

Evaluator::Flow Evaluator::filter_block(const Statement& statement) {
  enter(statement.scope);
  Flow flow = Flow::kNext;
  {
    Capture capture(*this);
    flow = execute(statement.bodies[0]);
    block_ = capture.take();
  }
  if (flow == Flow::kNext) output_string(evaluate(*statement.value));
  leave(statement.scope);
  return flow;
}

void Evaluator::call_block(const Statement& statement) {
  const Value caller = make_macro(statement);
  output_string(call(*statement.value, &caller));
}

void Evaluator::generation(const Statement& statement) {
  const std::size_t begin = root_out_.text().size();
  output_string(invoke(*statement.function, statement.bodies[0], activation_, {}));
  if (out_ == &root_out_) generated_.push_back({begin, root_out_.text().size()});
}

Value& Evaluator::slot(const VariableRef& variable) {
  Activation* activation = activation_;
  for (int i = 0; i < variable.hops; ++i) activation = activation->outer;
  return activation->slots[static_cast<std::size_t>(variable.slot)];
}

Value Evaluator::context_value(const std::string& name) {
  const auto found = context_.find(name);
  if (found != context_.end()) return found->second;
  const auto global = make_global(rendering_, name);
  if (!global) return {};
  context_.emplace(name, *global);
  return *global;
}

void Evaluator::enter(const Scope& scope) {
  for (const Load& load : scope.loads) {
    Value& target = activation_->slots[static_cast<std::size_t>(load.slot)];
    switch (load.kind) {
      case Load::Kind::kMissing:
        target = {};
        break;
      case Load::Kind::kContext:
        target = context_value(load.name);
        break;
      case Load::Kind::kAlias:
        target = slot(load.alias);
        break;
    }
  }
}

void Evaluator::leave(const Scope& scope) {
  for (const int i : scope.slots) activation_->slots[static_cast<std::size_t>(i)] = {};
}

void Evaluator::assign(const Expression& target, const Value& value) {
  if (target.kind == Expression::Kind::kTuple) {
    unpack(target, value);
  } else if (target.kind == Expression::Kind::kNamespace) {
    rendering_.count_items(2);
    dynamic_cast<Namespace&>(slot(target.variable).object()).set(target.attribute, value);
  } else {
    slot(target.variable) = value;
  }
}

void Evaluator::unpack(const Expression& target, const Value& value) {
  check_argument(is_iterable(value, rendering_), "cannot unpack non-iterable ", type_name(value), " object");
  const std::size_t expected = target.operands.size();
  Value::Items parts;
  Cursor cursor(rendering_, value);
  for (Value part; parts.size() <= expected && cursor.next(part);) parts.push_back(part);
  check_argument(parts.size() <= expected, "too many values to unpack (expected ", expected, ")");
  check_argument(parts.size() == expected, "not enough values to unpack (expected ", expected, ", got ", parts.size(),
                 ")");
  for (std::size_t i = 0; i < expected; ++i) assign(*target.operands[i], parts[i]);
}

}  // namespace tca::runtime::jinja
