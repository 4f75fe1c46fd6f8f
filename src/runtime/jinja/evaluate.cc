// Expressions.
#include "core/check.h"
#include "runtime/jinja/attributes.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/evaluator.h"
#include "runtime/jinja/methods.h"
#include "runtime/jinja/operators.h"
#include "runtime/jinja/registry.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Expression::Kind;

}  // namespace

Value Evaluator::evaluate(const Expression& expression) {
  const Rendering::Level level(rendering_);
  rendering_.step();
  line_ = expression.line;
  Value value = evaluate_kind(expression);
  line_ = expression.line;
  return value;
}

Value Evaluator::evaluate_kind(const Expression& expression) {
  const auto operand = [&](std::size_t i) { return evaluate(*expression.operands[i]); };
  switch (expression.kind) {
    case Kind::kConstant:
      return expression.constant;
    case Kind::kName:
      return name(expression);
    case Kind::kTuple:
      return Value::tuple(items(expression.operands));
    case Kind::kList:
      return Value::list(items(expression.operands));
    case Kind::kDict:
      return dict(expression);
    case Kind::kUnary:
      return unary(expression.operators[0], operand(0));
    case Kind::kBinary: {
      const Value left = operand(0);
      return binary(rendering_, expression.operators[0], left, operand(1));
    }
    case Kind::kAnd:
    case Kind::kOr: {
      Value left = operand(0);
      return truth(rendering_, left) == (expression.kind == Kind::kAnd) ? operand(1) : left;
    }
    case Kind::kNot:
      return Value::boolean(!is_true(*expression.operands[0]));
    case Kind::kConcat:
      return concatenate(rendering_, items(expression.operands));
    case Kind::kCompare:
      return compare_chain(expression);
    case Kind::kConditional:
      return conditional(expression);
    case Kind::kAttribute:
      return get_attribute(rendering_, operand(0), expression.attribute);
    case Kind::kItem: {
      const Value of = operand(0);
      return get_item(rendering_, of, operand(1));
    }
    case Kind::kSlice:
      return slice(expression);
    case Kind::kCall:
      return call(expression, nullptr);
    case Kind::kFilter:
      return filter(expression);
    case Kind::kTest:
      return Value::boolean(test(expression));
    case Kind::kNamespace:
      break;  // only a target
  }
  return {};
}

bool Evaluator::is_true(const Expression& expression) { return truth(rendering_, evaluate(expression)); }

Value Evaluator::name(const Expression& expression) {
  const Value& value = slot(expression.variable);
  if (!value.is_missing()) return value;
  return Value::undefined(quoted(expression.name) + " is undefined");
}

Value::Items Evaluator::items(const std::vector<ExpressionPtr>& expressions) {
  Value::Items result;
  rendering_.count_items(expressions.size());
  result.reserve(expressions.size());
  for (const ExpressionPtr& expression : expressions) result.push_back(evaluate(*expression));
  return result;
}

Value Evaluator::dict(const Expression& expression) {
  Dict result;
  rendering_.count_items(expression.operands.size());
  for (std::size_t i = 0; i < expression.operands.size(); i += 2) {
    Value key = evaluate(*expression.operands[i]);
    result.set(std::move(key), evaluate(*expression.operands[i + 1]));
  }
  return Value::dict(std::move(result));
}

Value Evaluator::compare_chain(const Expression& expression) {
  Value left = evaluate(*expression.operands[0]);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = evaluate(*expression.operands[i + 1]);
    if (!compare(rendering_, expression.operators[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Evaluator::conditional(const Expression& expression) {
  if (is_true(*expression.operands[0])) return evaluate(*expression.operands[1]);
  if (expression.operands[2] != nullptr) return evaluate(*expression.operands[2]);
  return Value::undefined("the inline if-expression evaluated to false and no else section was defined.");
}

Value Evaluator::slice(const Expression& expression) {
  Value parts[4];
  for (std::size_t i = 0; i < 4; ++i) {
    const ExpressionPtr& operand = expression.operands[i];
    parts[i] = operand == nullptr ? Value::none() : evaluate(*operand);
  }
  return get_slice(rendering_, parts[0], parts[1], parts[2], parts[3]);
}

Arguments Evaluator::arguments(const Expression& expression) {
  Arguments result;
  for (std::size_t i = 1; i < expression.operands.size(); ++i) {
    result.positional.push_back(evaluate(*expression.operands[i]));
  }
  for (const Keyword& keyword : expression.keywords) result.named.emplace_back(keyword.name, evaluate(*keyword.value));
  if (expression.spread != nullptr) {
    for (Value& item : to_items(rendering_, evaluate(*expression.spread))) result.positional.push_back(std::move(item));
  }
  if (expression.keyword_spread != nullptr) {
    const Value more = evaluate(*expression.keyword_spread);
    check_argument(more.is(Value::Kind::kDict), "argument after ** must be a mapping, not ", type_name(more));
    for (const auto& [key, value] : more.dict().entries()) {
      check_argument(key.is_string(), "keywords must be strings");
      for (const auto& [known, unused] : result.named) {
        check_argument(known != key.text().bytes(), "got multiple values for keyword argument '", known, "'");
      }
      rendering_.count_items(2);
      result.named.emplace_back(key.text().bytes(), value);
    }
  }
  return result;
}

Value Evaluator::call(const Expression& expression, const Value* caller) {
  const Expression& callee = *expression.operands[0];
  const auto all_arguments = [&] {
    Arguments result = arguments(expression);
    if (caller != nullptr) {
      for (const auto& [known, value] : result.named) {
        check_argument(known != "caller", "got multiple values for keyword argument 'caller'");
      }
      result.named.emplace_back("caller", *caller);
    }
    return result;
  };
  if (callee.kind == Kind::kAttribute) {  // a method is called without an object of its own
    const Value self = evaluate(*callee.operands[0]);
    if (!self.is(Value::Kind::kObject)) {
      const bool is_hidden = callee.attribute.substr(0, 1) == "_";
      const Method* method = is_hidden ? nullptr : find_method(self, callee.attribute);
      if (method != nullptr) return call_method(rendering_, self, *method, all_arguments());
    }
    const Value function = get_attribute(rendering_, self, callee.attribute);
    return call_value(rendering_, function, all_arguments());
  }
  const Value function = evaluate(callee);
  return call_value(rendering_, function, all_arguments());
}

Value Evaluator::filter(const Expression& expression) {
  const bool is_block = expression.operands[0] == nullptr;
  const Value input = is_block ? Value::string(block_) : evaluate(*expression.operands[0]);
  const Arguments all = arguments(expression);
  line_ = expression.line;
  return apply_filter(rendering_, expression.name, input, all);
}

bool Evaluator::test(const Expression& expression) {
  const Value input = evaluate(*expression.operands[0]);
  const Arguments all = arguments(expression);
  line_ = expression.line;
  return apply_test(rendering_, expression.name, input, all);
}

}  // namespace tca::runtime::jinja
