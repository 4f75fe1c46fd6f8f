// Runs a program.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/jinja/ast.h"
#include "runtime/jinja/objects.h"
#include "runtime/jinja/registry.h"
#include "runtime/jinja/rendering.h"

namespace tca::runtime::jinja {

/// The variables of a function while it runs. Missing ones are Value().
class Activation : public Object {
 public:
  Activation(const Function& function, Activation* outer_activation)
      : slots(static_cast<std::size_t>(function.slot_count)), outer(outer_activation) {}
  std::string_view type_name() const override { return "frame"; }

  std::vector<Value> slots;
  Activation* outer;
};

class Evaluator {
 public:
  Evaluator(const Program& program, const Value& globals, const RenderOptions& options);

  Rendered run();
  /// Where it is, for errors.
  int line() const { return line_; }

 private:
  friend class Macro;

  enum class Flow { kNext, kBreak, kContinue };
  class Capture;

  // Expressions.
  Value evaluate(const Expression& expression);
  Value evaluate_kind(const Expression& expression);
  Value name(const Expression& expression);
  Value::Items items(const std::vector<ExpressionPtr>& expressions);
  Value dict(const Expression& expression);
  Value compare_chain(const Expression& expression);
  Value conditional(const Expression& expression);
  Value slice(const Expression& expression);
  Value call(const Expression& expression, const Value* caller);
  Value filter(const Expression& expression);
  bool test(const Expression& expression);
  Arguments arguments(const Expression& expression);
  bool is_true(const Expression& expression);

  // Statements.
  Flow execute(const Statements& statements);
  Flow execute_kind(const Statement& statement);
  void output(const Value& value);
  void output_string(const Value& value);
  void write(const Text& text);
  Flow if_block(const Statement& statement);
  Flow with_block(const Statement& statement);
  void set(const Statement& statement);
  Flow set_block(const Statement& statement);
  Flow filter_block(const Statement& statement);
  void call_block(const Statement& statement);
  void generation(const Statement& statement);
  Flow for_block(const Statement& statement);
  Flow run_loop(const Statement& statement, const Value& iterable, LoopContext* context);
  bool run_body(const Statement& statement, const Value& item, LoopContext* context, Flow& flow);
  Flow run_else(const Statement& statement);
  Value tested_items(const Statement& statement, const Value& iterable);
  Value recurse(const Statement& statement, Activation* outer, const Value& iterable, std::int64_t depth);

  // Variables and functions.
  Value& slot(const VariableRef& variable);
  Value context_value(const std::string& name);
  void enter(const Scope& scope);
  void leave(const Scope& scope);
  void assign(const Expression& target, const Value& value);
  void check_namespaces(const Expression& target);
  void unpack(const Expression& target, const Value& value);
  /// What a macro statement defines, or what a call block passes.
  Value make_macro(const Statement& statement);
  Value invoke(const Function& function, const Statements& body, Activation* outer, const Arguments& arguments);
  void bind(const Function& function, const Arguments& arguments);

  const Program& program_;
  Rendering rendering_;
  std::unordered_map<std::string, Value> context_;
  Activation* activation_ = nullptr;
  TextBuilder root_out_;
  TextBuilder* out_ = &root_out_;
  Text block_;  // what a filter without an input is applied to
  std::vector<Span> generated_;
  int line_ = 1;
};

}  // namespace tca::runtime::jinja
