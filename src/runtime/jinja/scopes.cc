// Jinja decides by what a scope assigns anywhere, not by what ran before: a name that a scope assigns unconditionally
// hides the context's from the scopes inside even before the assignment; one that is assigned in a branch begins as the
// outer one. Two passes for each scope: what it reads and assigns, then its expressions and the scopes inside.
#include "runtime/jinja/scopes.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "core/check.h"
#include "runtime/jinja/lexer.h"
#include "runtime/jinja/registry.h"
#include "runtime/jinja/survey.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Statement::Kind;

// The second pass; the first is survey(). is_soft: inside of a condition, where an unknown filter is an error only when
// it is reached.
class Binder {
 public:
  void bind_statements(Names& names, Statements& statements, bool is_soft) {
    for (Statement& statement : statements) bind_statement(names, statement, is_soft);
  }

 private:
  void bind(Names& names, Expression& expression, bool is_soft) {
    using ExpressionKind = Expression::Kind;
    if (expression.kind == ExpressionKind::kName) bind_name(names, expression);
    if (!is_soft && expression.kind == ExpressionKind::kFilter && !is_filter(expression.name)) {
      fail_lacking(expression.line, text("unknown filter '", expression.name, "'"));
    }
    if (!is_soft && expression.kind == ExpressionKind::kTest && !is_test(expression.name)) {
      fail_lacking(expression.line, text("unknown test '", expression.name, "'"));
    }
    const bool is_soft_inside = is_soft || expression.kind == ExpressionKind::kConditional;
    for (const ExpressionPtr& part : expression.operands) {
      if (part != nullptr) bind(names, *part, is_soft_inside);
    }
    for (const Keyword& keyword : expression.keywords) bind(names, *keyword.value, is_soft_inside);
    if (expression.spread != nullptr) bind(names, *expression.spread, is_soft_inside);
    if (expression.keyword_spread != nullptr) bind(names, *expression.keyword_spread, is_soft_inside);
  }

  static void bind_name(Names& names, Expression& expression) {
    const auto variable = names.find(expression.name);
    // Jinja surveys no filter of a set block, and fails as this does.
    if (!variable) {
      fail_lacking(expression.line, text("the name '", expression.name, "' in the filter of a set block"));
    }
    expression.variable = *variable;
    if (expression.name == "self") fail_lacking(expression.line, "the name 'self'");
  }

  // is_assigned: not only declared.
  void bind_target(Names& names, Expression& target, bool is_assigned) {
    if (target.kind == Expression::Kind::kName || target.kind == Expression::Kind::kNamespace) {
      if (is_assigned && loops_ > 0 && target.kind == Expression::Kind::kName && target.name == "loop") {
        fail_syntax(target.line, "'loop' cannot be assigned to inside of a loop");
      }
      target.variable = *names.find(target.name);
    }
    for (const ExpressionPtr& part : target.operands) bind_target(names, *part, is_assigned);
  }

  void bind_statement(Names& names, Statement& statement, bool is_soft) {
    switch (statement.kind) {
      case Kind::kOutput:
        for (const ExpressionPtr& part : statement.expressions) bind(names, *part, is_soft);
        break;
      case Kind::kIf:
        for (const ExpressionPtr& part : statement.expressions) bind(names, *part, true);
        for (Statements& body : statement.bodies) bind_statements(names, body, true);
        break;
      case Kind::kFor:
        bind_loop(names, statement, is_soft);
        break;
      case Kind::kSet:
        bind(names, *statement.value, is_soft);
        bind_target(names, *statement.target, true);
        break;
      case Kind::kSetBlock:
        bind_set_block(names, statement);
        break;
      case Kind::kMacro:
        bind_function(names, *statement.function, statement.bodies[0], statement.line);
        names.function().is_captured = true;
        bind_target(names, *statement.target, false);
        break;
      case Kind::kCallBlock:
        bind(names, *statement.value, is_soft);
        bind_function(names, *statement.function, statement.bodies[0], statement.line);
        names.function().is_captured = true;
        break;
      case Kind::kGeneration:
        bind_function(names, *statement.function, statement.bodies[0], statement.line);
        break;
      case Kind::kFilterBlock:
        bind_filter_block(names, statement);
        break;
      case Kind::kWith:
        bind_with(names, statement, is_soft);
        break;
      default:
        break;
    }
  }

  void bind_loop(Names& names, Statement& statement, bool is_soft) {
    Statement::Loop& loop = *statement.loop;
    ++loops_;
    bind(names, *loop.iterable, is_soft);
    Function& function = loop.is_recursive ? loop.body_function : names.function();
    Names body(&names, function, loop.scope);
    if (loop.is_recursive || mentions(statement.bodies[0], "loop")) loop.loop_slot = body.declare("loop");
    declare(body, *loop.target);
    survey(body, statement.bodies[0]);
    body.write_scope();
    bind_target(body, *loop.target, true);
    if (loop.test != nullptr) bind_loop_test(names, loop);
    bind_statements(body, statement.bodies[0], false);
    if (loop.has_else) {
      Names otherwise(&names, function, loop.else_scope);
      survey(otherwise, statement.bodies[1]);
      otherwise.write_scope();
      bind_statements(otherwise, statement.bodies[1], false);
    }
    if (loop.is_recursive || loop.test != nullptr) names.function().is_captured = true;
    --loops_;
  }

  void bind_loop_test(Names& names, Statement::Loop& loop) {
    Names test(&names, loop.test_function, loop.test_function.scope);
    declare(test, *loop.test_target);
    read(test, *loop.test);
    test.write_scope();
    bind_target(test, *loop.test_target, true);
    bind(test, *loop.test, false);
  }

  void bind_set_block(Names& names, Statement& statement) {
    Names inner(&names, names.function(), statement.scope);
    survey(inner, statement.bodies[0]);
    inner.write_scope();
    bind_statements(inner, statement.bodies[0], false);
    bind_target(names, *statement.target, true);
    if (statement.value != nullptr) bind(inner, *statement.value, false);
  }

  void bind_filter_block(Names& names, Statement& statement) {
    Names inner(&names, names.function(), statement.scope);
    survey(inner, statement.bodies[0]);
    read(inner, *statement.value);
    inner.write_scope();
    bind_statements(inner, statement.bodies[0], false);
    bind(inner, *statement.value, false);
  }

  void bind_with(Names& names, Statement& statement, bool is_soft) {
    Names inner(&names, names.function(), statement.scope);
    for (const ExpressionPtr& target : statement.expressions) declare(inner, *target);
    survey(inner, statement.bodies[0]);
    inner.write_scope();
    for (const ExpressionPtr& target : statement.expressions) bind_target(inner, *target, false);
    for (const ExpressionPtr& value : statement.values) bind(names, *value, is_soft);
    bind_statements(inner, statement.bodies[0], false);
  }

  void bind_function(Names& names, Function& function, Statements& body, int line) {
    Names inner(&names, function, function.scope);
    for (const std::string& parameter : function.parameters) {
      function.parameter_slots.push_back(inner.declare(parameter));
    }
    for (const ExpressionPtr& value : function.defaults) read(inner, *value);
    survey(inner, body);
    declare_special(inner, function, body, line);
    inner.write_scope();
    for (const ExpressionPtr& value : function.defaults) bind(inner, *value, false);
    bind_statements(inner, body, false);
  }

  // `caller`, `kwargs` and `varargs` are there where the body mentions them.
  static void declare_special(Names& names, Function& function, const Statements& body, int line) {
    const std::size_t without_default = function.parameters.size() - function.defaults.size();
    const auto position_of = [&](std::string_view name) {
      std::size_t i = 0;
      while (i < function.parameters.size() && function.parameters[i] != name) ++i;
      return i;
    };
    const auto is_wanted = [&](std::string_view name) {
      return mentions(body, name) && position_of(name) == function.parameters.size();
    };
    if (mentions(body, "caller") && position_of("caller") < without_default) {
      fail_syntax(line, "the parameter 'caller' needs a default");
    }
    if (is_wanted("caller")) function.caller_slot = names.declare("caller");
    if (is_wanted("kwargs")) function.keywords_slot = names.declare("kwargs");
    if (is_wanted("varargs")) function.rest_slot = names.declare("varargs");
  }

  int loops_ = 0;  // around what is bound
};

}  // namespace

void resolve_names(Program& program) {
  Names names(nullptr, program.root, program.root.scope);
  survey(names, program.body);
  names.write_scope();
  Binder().bind_statements(names, program.body, false);
}

}  // namespace tca::runtime::jinja
