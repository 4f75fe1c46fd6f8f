// For blocks.
#include <utility>

#include "runtime/jinja/evaluator.h"

namespace tca::runtime::jinja {

Evaluator::Flow Evaluator::for_block(const Statement& statement) {
  const Statement::Loop& loop = *statement.loop;
  const Value iterable = evaluate(*loop.iterable);
  if (loop.is_recursive) {
    write(recurse(statement, activation_, iterable, 0).text());
    return Flow::kNext;
  }
  const Value items = loop.test == nullptr ? iterable : tested_items(statement, iterable);
  if (loop.loop_slot < 0) return run_loop(statement, items, nullptr);
  return run_loop(statement, items, &rendering_.make<LoopContext>(rendering_, items, nullptr, 0));
}

// The loop's body over the items as a function of its own, whose text it returns.
Value Evaluator::recurse(const Statement& statement, Activation* outer, const Value& iterable, std::int64_t depth) {
  const Rendering::Level level(rendering_);
  const Statement::Loop& loop = *statement.loop;
  Activation* const caller = std::exchange(activation_, outer);
  const Value items = loop.test == nullptr ? iterable : tested_items(statement, iterable);
  activation_ = &rendering_.make<Activation>(loop.body_function, outer);
  auto& context = rendering_.make<LoopContext>(
      rendering_, items,
      [this, &statement, outer](const Value& inner, std::int64_t inner_depth) {
        return recurse(statement, outer, inner, inner_depth);
      },
      depth);
  TextBuilder text(rendering_);
  TextBuilder* const caller_out = std::exchange(out_, &text);
  run_loop(statement, items, &context);
  out_ = caller_out;
  activation_ = caller;
  return text.value();
}

Evaluator::Flow Evaluator::run_loop(const Statement& statement, const Value& iterable, LoopContext* context) {
  // Jinja runs what else says when no iteration came to its end: after `break` or `continue` alone, too.
  bool came_to_end = false;
  Flow flow = Flow::kNext;
  if (context != nullptr) {
    for (Value item; flow != Flow::kBreak && context->next(item);) {
      came_to_end = run_body(statement, item, context, flow) || came_to_end;
    }
  } else {
    Cursor cursor(rendering_, iterable);
    for (Value item; flow != Flow::kBreak && cursor.next(item);) {
      came_to_end = run_body(statement, item, nullptr, flow) || came_to_end;
    }
  }
  leave(statement.loop->scope);
  return statement.loop->has_else && !came_to_end ? run_else(statement) : Flow::kNext;
}

// Whether the body came to its end.
bool Evaluator::run_body(const Statement& statement, const Value& item, LoopContext* context, Flow& flow) {
  const Statement::Loop& loop = *statement.loop;
  assign(*loop.target, item);
  if (context != nullptr) activation_->slots[static_cast<std::size_t>(loop.loop_slot)] = Value::object(*context);
  enter(loop.scope);
  flow = execute(statement.bodies[0]);
  return flow == Flow::kNext;
}

Evaluator::Flow Evaluator::run_else(const Statement& statement) {
  enter(statement.loop->else_scope);
  const Flow flow = execute(statement.bodies[1]);
  leave(statement.loop->else_scope);
  return flow;
}

// The items that the loop's condition lets through, tested one by one as the loop asks for them.
Value Evaluator::tested_items(const Statement& statement, const Value& iterable) {
  Activation* const outer = activation_;
  auto cursor = std::make_shared<Cursor>(rendering_, iterable);
  Activation* own = nullptr;
  return make_iterator(rendering_, [this, &statement, outer, cursor, own](Rendering&, Value& item) mutable {
    const Statement::Loop& loop = *statement.loop;
    const bool is_first = own == nullptr;
    if (is_first) own = &rendering_.make<Activation>(loop.test_function, outer);
    Activation* const caller = std::exchange(activation_, own);
    if (is_first) enter(loop.test_function.scope);
    bool found = false;
    while (!found && cursor->next(item)) {
      assign(*loop.test_target, item);
      found = is_true(*loop.test);
    }
    activation_ = caller;
    return found;
  });
}

}  // namespace tca::runtime::jinja
