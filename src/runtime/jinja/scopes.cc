// Jinja decides by what a scope assigns anywhere, not by what ran before: a name that a scope assigns unconditionally
// hides the context's from the scopes inside even before the assignment; one that is assigned in a branch begins as the
// outer one. Two passes for each scope: what it reads and assigns, then its expressions and the scopes inside.
#include "runtime/jinja/scopes.h"

#include <map>
#include <optional>
#include <set>

#include "core/check.h"
#include "runtime/jinja/lexer.h"
#include "runtime/jinja/registry.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Statement::Kind;

// The variables of one scope, while it is resolved.
class Names {
 public:
  Names(Names* outer, Function& function, Scope& scope) : outer_(outer), function_(function), scope_(scope) {}

  Function& function() const { return function_; }

  std::optional<VariableRef> find(const std::string& name) const {
    int hops = 0;
    for (const Names* names = this; names != nullptr; names = names->outer_) {
      const auto found = names->slots_.find(name);
      if (found != names->slots_.end()) return VariableRef{hops, found->second};
      if (names->outer_ != nullptr) hops += &names->function_ != &names->outer_->function_;
    }
    return std::nullopt;
  }

  void read(const std::string& name) {
    if (find(name)) return;
    begin_as(name, {Load::Kind::kContext, define(name), {}, name});
  }

  void assign(const std::string& name) {
    assigned_.insert(name);
    if (slots_.count(name)) return;
    const auto outer = outer_variable(name);
    const int slot = define(name);
    if (outer) {
      begin_as(name, {Load::Kind::kAlias, slot, *outer, {}});
    } else {
      begin_as(name, {Load::Kind::kMissing, slot, {}, {}});
    }
  }

  // A variable that has a value when the scope is entered.
  int declare(const std::string& name) {
    assigned_.insert(name);
    const int slot = slots_.count(name) ? slots_[name] : define(name);
    loads_.erase(name);
    return slot;
  }

  // What was assigned since `before` was, in one branch or another.
  void end_branches(const std::set<std::string>& before) {
    for (const std::string& name : assigned_) {
      if (before.count(name)) continue;
      const auto outer = outer_variable(name);
      const int slot = slots_.at(name);
      if (outer) {
        begin_as(name, {Load::Kind::kAlias, slot, *outer, {}});
      } else {
        begin_as(name, {Load::Kind::kContext, slot, {}, name});
      }
    }
  }
  const std::set<std::string>& assigned() const { return assigned_; }

  void write_scope() const {
    for (const auto& [name, load] : loads_) scope_.loads.push_back(load);
    for (const auto& [name, slot] : slots_) scope_.slots.push_back(slot);
  }

 private:
  int define(const std::string& name) { return slots_[name] = function_.slot_count++; }
  void begin_as(const std::string& name, Load load) { loads_[name] = std::move(load); }

  std::optional<VariableRef> outer_variable(const std::string& name) const {
    if (outer_ == nullptr) return std::nullopt;
    auto found = outer_->find(name);
    if (found) found->hops += &function_ != &outer_->function_;
    return found;
  }

  Names* outer_;
  Function& function_;
  Scope& scope_;
  std::map<std::string, int> slots_;
  std::map<std::string, Load> loads_;
  std::set<std::string> assigned_;
};

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

bool mentions(const Statements& statements, std::string_view name);

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

bool mentions(const Statements& statements, std::string_view name) {
  for (const Statement& statement : statements) {
    if (mentions(statement, name)) return true;
  }
  return false;
}

// The first pass.

void read(Names& names, const Expression& expression) {
  if (expression.kind == Expression::Kind::kName) names.read(expression.name);
  for_each_part(expression, [&](const Expression& part) { read(names, part); });
}

void assign(Names& names, const Expression& target) {
  if (target.kind == Expression::Kind::kName) names.assign(target.name);
  if (target.kind == Expression::Kind::kNamespace) names.read(target.name);
  for (const ExpressionPtr& part : target.operands) assign(names, *part);
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

// The second pass. is_soft: inside of a condition, where an unknown filter is an error only when it is reached.
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
