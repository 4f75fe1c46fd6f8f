// The functions that every template can call.
#include <memory>

#include "core/check.h"
#include "runtime/jinja/arguments.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/objects.h"
#include "runtime/jinja/registry.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/show.h"
#include "runtime/jinja/strftime.h"

namespace tca::runtime::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;  // the sandbox's

Value make_range(Rendering&, const Arguments& arguments) {
  check_argument(!arguments.positional.empty(), "range expected at least 1 argument, got 0");
  const Bound bound("range", arguments, {"", "", ""}, 1);
  Range range{0, bound.integer(0, 0), bound.integer(2, 1)};
  if (bound.has(1)) range = {range.stop, bound.integer(1, 0), range.step};
  check_argument(range.step != 0, "range() arg 3 must not be zero");
  constexpr std::int64_t kLimit = std::int64_t{1} << 62;
  for (const std::int64_t part : {range.start, range.stop, range.step}) {
    check_supported(part < kLimit && part > -kLimit, "range() of numbers beyond 2^62");
  }
  check_argument(range.size() <= kMaxRange, "range(): more than ", kMaxRange, " items");
  return Value::range(range);
}

class Cycler : public Object {
 public:
  explicit Cycler(Value::Items items) : items_(std::move(items)) {}
  std::string_view type_name() const override { return "Cycler"; }
  std::optional<Value> attribute(Rendering& rendering, std::string_view name) override {
    if (name == "current") return items_[position_];
    if (name == "next") {
      return make_function(rendering, [this](Rendering&, const Arguments& arguments) {
        Bound("next", arguments, {});
        const Value& item = items_[position_];
        position_ = (position_ + 1) % items_.size();
        return item;
      });
    }
    if (name == "reset") {
      return make_function(rendering, [this](Rendering&, const Arguments& arguments) {
        Bound("reset", arguments, {});
        position_ = 0;
        return Value::none();
      });
    }
    check_supported(name != "items" && name != "pos", "the attribute '", name, "' of a cycler");
    return std::nullopt;
  }

 private:
  Value::Items items_;
  std::size_t position_ = 0;
};

class Joiner : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  std::string_view type_name() const override { return "Joiner"; }
  bool is_callable() const override { return true; }
  Value call(Rendering&, const Arguments& arguments) override {
    Bound("joiner", arguments, {});
    if (std::exchange(is_used_, true)) return separator_;
    return Value::string(Text());
  }
  std::optional<Value> attribute(Rendering&, std::string_view name) override {
    check_supported(name != "sep" && name != "used", "the attribute '", name, "' of a joiner");
    return std::nullopt;
  }

 private:
  Value separator_;
  bool is_used_ = false;
};

Value make_cycler(Rendering& rendering, const Arguments& arguments) {
  check_argument(!arguments.positional.empty(), "cycler: at least one item has to be provided");
  check_argument(arguments.named.empty(), "cycler() takes no keyword arguments");
  return Value::object(rendering.make<Cycler>(arguments.positional));
}

Value make_joiner(Rendering& rendering, const Arguments& arguments) {
  const Bound bound("joiner", arguments, {"sep"});
  return Value::object(rendering.make<Joiner>(bound.get(0, Value::string(", ", Origin::kTrusted))));
}

Value raise_exception(Rendering& rendering, const Arguments& arguments) {
  const Bound bound("raise_exception", arguments, {"message"}, 1);
  fail(ErrorCategory::kInvalidArgument, to_text(rendering, *bound[0]).bytes());
}

Value strftime_now(Rendering& rendering, const Arguments& arguments) {
  const Bound bound("strftime_now", arguments, {"format"}, 1);
  return Value::string(format_time(rendering, bound.text(0), rendering.now()));
}

}  // namespace

std::optional<Value> make_global(Rendering& rendering, std::string_view name) {
  if (name == "range") return make_function(rendering, make_range);
  if (name == "cycler") return make_function(rendering, make_cycler);
  if (name == "joiner") return make_function(rendering, make_joiner);
  if (name == "raise_exception") return make_function(rendering, raise_exception);
  if (name == "strftime_now") return make_function(rendering, strftime_now);
  if (name == "dict") {
    return make_function(rendering, [](Rendering& r, const Arguments& arguments) {
      return Value::dict(make_dict(r, "dict", arguments));
    });
  }
  if (name == "namespace") {
    return make_function(rendering, [](Rendering& r, const Arguments& arguments) {
      return Value::object(r.make<Namespace>(make_dict(r, "namespace", arguments)));
    });
  }
  if (name == "lipsum") {
    return make_function(rendering, [](Rendering&, const Arguments&) -> Value {
      fail(ErrorCategory::kUnsupported, "not supported: the function 'lipsum'");
    });
  }
  return std::nullopt;
}

}  // namespace tca::runtime::jinja
