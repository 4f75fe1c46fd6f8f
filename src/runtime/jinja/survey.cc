#include "runtime/jinja/survey.h"

#include <cstddef>

namespace tca::runtime::jinja {
namespace {

using Kind = Statement::Kind;

// action(part) for each expression that this one consists of.
template <class Action>
void for_each_part(const Expression& expression, const Action& action) {
  for (const ExpressionPtr& part : expression.operands) {
    if (part != nullptr) action(*part);
  }
  for (const Keyword& keyword : expression.keywords) action(*keyword.value);
  if (expression.spread != nullptr) action(*expression.spread);
  if (expression.keyword_spread != nullptr) action(*expression.keyword_spread);
}

bool mentions(const Expression& expression, std::string_view name) {
  if (expression.kind == Expression::Kind::kName && expression.name == name) return true;
  bool found = false;
  for_each_part(expression, [&](const Expression& part) { found = found || mentions(part, name); });
  return found;
}

bool mentions(const Statement& statement, std::string_view name) {
  const auto in = [&](const ExpressionPtr& part) { return part != nullptr && mentions(*part, name); };
  if (in(statement.value)) return true;
  for (const ExpressionPtr& part : statement.values) {
    if (in(part)) return true;
  }
  if (statement.kind != Kind::kWith) {  // whose expressions are targets
    for (const ExpressionPtr& part : statement.expressions) {
      if (in(part)) return true;
    }
  }
  if (statement.loop != nullptr && (in(statement.loop->iterable) || in(statement.loop->test))) return true;
  if (statement.function != nullptr) {
    for (const ExpressionPtr& part : statement.function->defaults) {
      if (in(part)) return true;
    }
  }
  for (const Statements& body : statement.bodies) {
    if (mentions(body, name)) return true;
  }
  return false;
}

void assign(Names& names, const Expression& target) {
  if (target.kind == Expression::Kind::kName) names.assign(target.name);
  if (target.kind == Expression::Kind::kNamespace) names.read(target.name);
  for (const ExpressionPtr& part : target.operands) assign(names, *part);
}

}  // namespace

bool mentions(const Statements& statements, std::string_view name) {
  for (const Statement& statement : statements) {
    if (mentions(statement, name)) return true;
  }
  return false;
}

void read(Names& names, const Expression& expression) {
  if (expression.kind == Expression::Kind::kName) names.read(expression.name);
  for_each_part(expression, [&](const Expression& part) { read(names, part); });
}

void declare(Names& names, const Expression& target) {
  if (target.kind == Expression::Kind::kName) names.declare(target.name);
  for (const ExpressionPtr& part : target.operands) declare(names, *part);
}

void survey(Names& names, const Statements& statements) {
  for (const Statement& statement : statements) {
    switch (statement.kind) {
      case Kind::kOutput:
        for (const ExpressionPtr& part : statement.expressions) read(names, *part);
        break;
      case Kind::kIf: {
        read(names, *statement.expressions.front());
        const std::set<std::string> before = names.assigned();
        for (std::size_t i = 1; i < statement.expressions.size(); ++i) read(names, *statement.expressions[i]);
        for (const Statements& body : statement.bodies) survey(names, body);
        names.end_branches(before);
        break;
      }
      case Kind::kFor:
        read(names, *statement.loop->iterable);
        break;
      case Kind::kSet:
        read(names, *statement.value);
        assign(names, *statement.target);
        break;
      case Kind::kSetBlock:
      case Kind::kMacro:
        assign(names, *statement.target);
        break;
      case Kind::kCallBlock:
      case Kind::kFilterBlock:
        read(names, *statement.value);
        break;
      case Kind::kWith:
        for (const ExpressionPtr& part : statement.values) read(names, *part);
        break;
      default:
        break;
    }
  }
}

}  // namespace tca::runtime::jinja
