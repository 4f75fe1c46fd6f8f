// Objects of the language itself: namespaces, functions, loops.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/jinja/dict.h"
#include "runtime/jinja/object.h"
#include "runtime/jinja/sequence.h"

namespace tca::runtime::jinja {

/// What namespace(...) makes: the only thing whose attributes can be set.
class Namespace : public Object {
 public:
  explicit Namespace(Dict attributes) : attributes_(std::move(attributes)) {}
  std::string_view type_name() const override { return "Namespace"; }
  std::optional<Value> attribute(Rendering& rendering, std::string_view name) override;
  std::optional<Text> shown(Rendering& rendering) override;
  void set(const std::string& name, Value value) {
    attributes_.set(Value::string(name, Origin::kTrusted), std::move(value));
  }

 private:
  Dict attributes_;
};

class FunctionObject : public Object {
 public:
  using Call = std::function<Value(Rendering&, const Arguments&)>;
  explicit FunctionObject(Call call) : call_(std::move(call)) {}
  std::string_view type_name() const override { return "function"; }
  bool is_callable() const override { return true; }
  Value call(Rendering& rendering, const Arguments& arguments) override { return call_(rendering, arguments); }

 private:
  Call call_;
};
Value make_function(Rendering& rendering, FunctionObject::Call call);

/// `loop` of a for block. Looks one item ahead only when it is asked for the next or the last.
class LoopContext : public Object {
 public:
  /// recurse renders the loop's body over other items, one level deeper; nullptr where the loop is not recursive.
  using Recurse = std::function<Value(const Value& iterable, std::int64_t depth)>;
  LoopContext(Rendering& rendering, Value iterable, Recurse recurse, std::int64_t depth0);

  bool next(Value& item);

  std::string_view type_name() const override { return "LoopContext"; }
  std::optional<Value> attribute(Rendering& rendering, std::string_view name) override;
  bool is_callable() const override { return true; }
  Value call(Rendering& rendering, const Arguments& arguments) override;
  std::optional<std::int64_t> length(Rendering& rendering) override;
  std::optional<Text> shown(Rendering& rendering) override;

 private:
  bool peek();
  Value cycle(const Arguments& arguments) const;
  Value changed(const Arguments& arguments);

  Rendering& rendering_;
  Value iterable_;
  std::unique_ptr<Cursor> cursor_;
  Recurse recurse_;
  std::int64_t depth0_;
  std::int64_t index0_ = -1;
  std::optional<std::int64_t> length_;
  std::optional<Value> after_, current_, before_, last_changed_;
};

/// Python's dict(...): a mapping or pairs, and names.
Dict make_dict(Rendering& rendering, std::string_view function, const Arguments& arguments);

}  // namespace tca::runtime::jinja
