// The state of one rendering that values and functions need: what it may still use, and what it owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/check.h"
#include "runtime/jinja/object.h"
#include "runtime/jinja/template.h"

namespace tca::runtime::jinja {

class Rendering {
 public:
  explicit Rendering(const RenderOptions& options)
      : limits_(options.limits), now_(options.now.value_or(std::chrono::system_clock::now())) {}

  const Limits& limits() const { return limits_; }
  std::chrono::system_clock::time_point now() const { return now_; }

  /// Counts work. Throws kUnsupported at the limit, as the others here do.
  void step(std::int64_t count = 1) {
    steps_ += count;
    check_supported(steps_ <= limits_.steps, "rendering takes more than ", limits_.steps, " steps");
  }
  /// Counts text and other memory that is about to be made.
  void count_bytes(std::size_t bytes) {
    check_supported(bytes <= limits_.text_bytes - bytes_, "rendering makes more than ", limits_.text_bytes,
                    " bytes of text and lists");
    bytes_ += bytes;
  }
  void count_items(std::size_t items) {
    count_bytes(items > limits_.text_bytes / sizeof(Value) ? limits_.text_bytes + 1 : items * sizeof(Value));
  }

  /// An object that lives as long as the rendering.
  template <class T, class... Parts>
  T& make(Parts&&... parts) {
    count_bytes(sizeof(T) + sizeof(void*));
    auto object = std::make_unique<T>(std::forward<Parts>(parts)...);
    T& result = *object;
    objects_.push_back(std::move(object));
    return result;
  }

  /// One level of evaluation, while it exists.
  class Level {
   public:
    explicit Level(Rendering& rendering) : rendering_(rendering) {
      if (++rendering_.depth_ > kMaxDepth) {
        --rendering_.depth_;
        fail(ErrorCategory::kUnsupported, text("evaluation nested deeper than ", kMaxDepth, " levels"));
      }
    }
    ~Level() { --rendering_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    static constexpr int kMaxDepth = 1000;
    Rendering& rendering_;
  };

 private:
  Limits limits_;
  std::chrono::system_clock::time_point now_;
  std::int64_t steps_ = 0;
  std::size_t bytes_ = 0;
  int depth_ = 0;
  std::vector<std::unique_ptr<Object>> objects_;
};

/// Makes a text piece by piece, counting its bytes.
class TextBuilder {
 public:
  explicit TextBuilder(Rendering& rendering) : rendering_(rendering) {}

  void append(std::string_view bytes, Origin origin = Origin::kTrusted) {
    rendering_.count_bytes(bytes.size());
    text_.append(bytes, origin);
  }
  void append(const Text& text) { append(text, 0, text.size()); }
  void append(const Text& text, std::size_t begin, std::size_t end) {
    rendering_.count_bytes(end - begin + (text.foreign().empty() ? 0 : sizeof(Span)));
    text_.append(text, begin, end);
  }
  const Text& text() const { return text_; }
  Text take() { return std::move(text_); }
  Value value() { return Value::string(take()); }

 private:
  Rendering& rendering_;
  Text text_;
};

}  // namespace tca::runtime::jinja
