// Macros and what call blocks pass: functions with Python's binding of arguments.
#include <utility>

#include "core/check.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/evaluator.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {

class Macro : public Object {
 public:
  Macro(Evaluator& evaluator, const Statement& statement, Activation* outer)
      : evaluator_(evaluator), statement_(statement), outer_(outer) {}

  std::string_view type_name() const override { return "Macro"; }
  bool is_callable() const override { return true; }
  Value call(Rendering&, const Arguments& arguments) override {
    return evaluator_.invoke(*statement_.function, statement_.bodies[0], outer_, arguments);
  }
  std::optional<Value> attribute(Rendering&, std::string_view name) override {
    const Function& function = *statement_.function;
    if (name == "name") return function.name.empty() ? Value::none() : Value::string(function.name, Origin::kTrusted);
    if (name == "catch_kwargs") return Value::boolean(function.keywords_slot >= 0);
    if (name == "catch_varargs") return Value::boolean(function.rest_slot >= 0);
    if (name == "caller") return Value::boolean(function.caller_slot >= 0);
    if (name != "arguments") return std::nullopt;
    Value::Items names;
    for (const std::string& parameter : function.parameters) {
      names.push_back(Value::string(parameter, Origin::kTrusted));
    }
    return Value::tuple(std::move(names));
  }
  std::optional<Text> shown(Rendering&) override {
    const std::string& name = statement_.function->name;
    return Text("<Macro " + (name.empty() ? "anonymous" : jinja::quoted(name)) + ">");
  }

 private:
  Evaluator& evaluator_;
  const Statement& statement_;
  Activation* outer_;
};

Value Evaluator::make_macro(const Statement& statement) {
  return Value::object(rendering_.make<Macro>(*this, statement, activation_));
}

Value Evaluator::invoke(const Function& function, const Statements& body, Activation* outer,
                        const Arguments& arguments) {
  const Rendering::Level level(rendering_);
  rendering_.count_items(static_cast<std::size_t>(function.slot_count));
  std::unique_ptr<Activation> own;
  Activation* activation = nullptr;
  if (function.is_captured) {
    activation = &rendering_.make<Activation>(function, outer);
  } else {
    own = std::make_unique<Activation>(function, outer);
    activation = own.get();
  }
  Activation* const caller = std::exchange(activation_, activation);
  TextBuilder text(rendering_);
  TextBuilder* const caller_out = std::exchange(out_, &text);
  bind(function, arguments);
  execute(body);
  out_ = caller_out;
  activation_ = caller;
  return text.value();
}

void Evaluator::bind(const Function& function, const Arguments& arguments) {
  const auto slot_of = [&](int i) -> Value& { return activation_->slots[static_cast<std::size_t>(i)]; };
  std::vector<std::pair<std::string, Value>> named = arguments.named;
  const auto take_named = [&](const std::string& name) {
    Value value;
    for (auto entry = named.begin(); entry != named.end(); ++entry) {
      if (entry->first != name) continue;
      value = std::move(entry->second);
      named.erase(entry);
      break;
    }
    return value;
  };
  const std::string name = function.name.empty() ? "None" : jinja::quoted(function.name);
  const std::size_t count = function.parameters.size();
  const std::size_t given = std::min(count, arguments.positional.size());
  std::vector<bool> is_missing(count, false);
  for (std::size_t i = 0; i < count; ++i) {
    Value value = i < given ? arguments.positional[i] : take_named(function.parameters[i]);
    // An undefined value that was passed counts as given.
    is_missing[i] = value.is_missing();
    slot_of(function.parameter_slots[i]) = std::move(value);
  }
  if (function.caller_slot >= 0) {
    Value value = take_named("caller");
    const bool is_absent = value.is_missing() || value.is(Value::Kind::kNone);
    slot_of(function.caller_slot) = is_absent ? Value::undefined("No caller defined") : std::move(value);
  }
  if (function.keywords_slot >= 0) {
    slot_of(function.keywords_slot) = Value::dict(named);
  } else if (!named.empty()) {
    fail(ErrorCategory::kInvalidArgument,
         text("macro ", name, " takes no keyword argument ", jinja::quoted(named[0].first)));
  }
  if (function.rest_slot >= 0) {
    slot_of(function.rest_slot) =
        Value::tuple({arguments.positional.begin() + static_cast<std::ptrdiff_t>(given), arguments.positional.end()});
  }
  check_argument(function.rest_slot >= 0 || arguments.positional.size() <= count, "macro ", name,
                 " takes not more than ", count, " argument(s)");
  enter(function.scope);
  const std::size_t without_default = count - function.defaults.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_missing[i]) continue;
    Value value = i < without_default
                      ? Value::undefined("parameter " + jinja::quoted(function.parameters[i]) + " was not provided")
                      : evaluate(*function.defaults[i - without_default]);
    slot_of(function.parameter_slots[i]) = std::move(value);
  }
}

}  // namespace tca::runtime::jinja
