#include "runtime/jinja/objects.h"

#include "core/check.h"
#include "runtime/jinja/arguments.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {

std::optional<Value> Namespace::attribute(Rendering&, std::string_view name) {
  const Value* value = attributes_.find(name);
  return value == nullptr ? std::nullopt : std::optional<Value>(*value);
}

std::optional<Text> Namespace::shown(Rendering& rendering) {
  TextBuilder out(rendering);
  out.append("<Namespace ");
  out.append(repr(rendering, Value::dict(attributes_)));
  out.append(">");
  return out.take();
}

Value make_function(Rendering& rendering, FunctionObject::Call call) {
  return Value::object(rendering.make<FunctionObject>(std::move(call)));
}

LoopContext::LoopContext(Rendering& rendering, Value iterable, Recurse recurse, std::int64_t depth0)
    : rendering_(rendering),
      iterable_(std::move(iterable)),
      cursor_(std::make_unique<Cursor>(rendering, iterable_)),
      recurse_(std::move(recurse)),
      depth0_(depth0) {}

bool LoopContext::peek() {
  Value item;
  if (!after_ && cursor_->next(item)) after_ = item;
  return after_.has_value();
}

bool LoopContext::next(Value& item) {
  if (!peek()) return false;
  item = *after_;
  after_.reset();
  ++index0_;
  before_ = std::exchange(current_, item);
  return true;
}

std::optional<std::int64_t> LoopContext::length(Rendering& rendering) {
  if (length_) return length_;
  length_ = jinja::length(rendering, iterable_);
  if (length_) return length_;
  Value::Items rest;  // an iterator: what is left of it is counted
  for (Value item; cursor_->next(item);) {
    rendering.count_items(1);
    rest.push_back(item);
  }
  length_ = static_cast<std::int64_t>(rest.size()) + index0_ + 1 + after_.has_value();
  cursor_ = std::make_unique<Cursor>(rendering, Value::list(std::move(rest)));
  return length_;
}

std::optional<Value> LoopContext::attribute(Rendering& rendering, std::string_view name) {
  const auto integer = [](std::int64_t value) { return Value::integer(value); };
  if (name == "index") return integer(index0_ + 1);
  if (name == "index0") return integer(index0_);
  if (name == "first") return Value::boolean(index0_ == 0);
  if (name == "last") return Value::boolean(!peek());
  if (name == "length") return integer(*length(rendering));
  if (name == "revindex") return integer(*length(rendering) - index0_);
  if (name == "revindex0") return integer(*length(rendering) - index0_ - 1);
  if (name == "depth") return integer(depth0_ + 1);
  if (name == "depth0") return integer(depth0_);
  if (name == "previtem")
    return index0_ == 0 ? Value::undefined("there is no previous item") : before_.value_or(Value());
  if (name == "nextitem") return peek() ? *after_ : Value::undefined("there is no next item");
  if (name == "cycle") return make_function(rendering, [this](Rendering&, const Arguments& a) { return cycle(a); });
  if (name == "changed") return make_function(rendering, [this](Rendering&, const Arguments& a) { return changed(a); });
  return std::nullopt;
}

Value LoopContext::cycle(const Arguments& arguments) const {
  check_argument(!arguments.positional.empty() && arguments.named.empty(), "loop.cycle: no items for cycling given");
  return arguments.positional[static_cast<std::size_t>(index0_) % arguments.positional.size()];
}

Value LoopContext::changed(const Arguments& arguments) {
  check_argument(arguments.named.empty(), "loop.changed() takes no keyword arguments");
  Value now = Value::tuple(arguments.positional);
  const bool differs = !last_changed_ || !equal(*last_changed_, now);
  if (differs) last_changed_ = std::move(now);
  return Value::boolean(differs);
}

Value LoopContext::call(Rendering&, const Arguments& arguments) {
  const Bound bound("loop", arguments, {"iterable"}, 1);
  check_argument(recurse_ != nullptr, "The loop must have the 'recursive' marker to be called recursively.");
  return recurse_(*bound[0], depth0_ + 1);
}

std::optional<Text> LoopContext::shown(Rendering& rendering) {
  return Text(text("<LoopContext ", index0_ + 1, "/", *length(rendering), ">"));
}

Dict make_dict(Rendering& rendering, std::string_view function, const Arguments& arguments) {
  check_argument(arguments.positional.size() <= 1, function, " expected at most 1 argument, got ",
                 arguments.positional.size());
  Dict dict;
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is(Value::Kind::kDict)) {
      rendering.count_items(2 * source.dict().size());
      dict = source.dict();
    } else {
      Cursor cursor(rendering, source);
      for (Value pair; cursor.next(pair);) {
        const Value::Items items = to_items(rendering, pair);
        check_argument(items.size() == 2, function, ": a pair has ", items.size(), " items; 2 are required");
        rendering.count_items(2);
        dict.set(items[0], items[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) {
    rendering.count_items(2);
    dict.set(Value::string(name, Origin::kTrusted), value);
  }
  return dict;
}

}  // namespace tca::runtime::jinja
