// Jinja templates as Transformers renders chats with them: trim_blocks, lstrip_blocks, an immutable sandbox, loop
// controls, generation blocks, raise_exception, strftime_now and its own tojson. Written from Jinja's documentation.
// What a template needs and this lacks is refused by name and line; what it has does as Jinja does.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/jinja/text.h"
#include "runtime/jinja/value.h"

namespace tca::runtime::jinja {

/// What one rendering may use. Beyond it is an error, never a crash.
struct Limits {
  std::int64_t steps = 50'000'000;                // expressions and statements evaluated, items visited
  std::size_t text_bytes = std::size_t{1} << 30;  // all text that is made, finished or on the way
  std::size_t output_bytes = std::size_t{1} << 28;
};

struct RenderOptions {
  Limits limits;
  std::optional<std::chrono::system_clock::time_point> now;  // what strftime_now shows, in local time; nothing: now
};

struct Rendered {
  Text text;
  std::vector<Span> generated;  // what {% generation %} blocks wrote, in order
};

struct Program;

class Template {
 public:
  /// Throws kBadFile for what is no Jinja and kUnsupported for what this interpreter lacks; both name
  /// "<name_for_errors>:<line>".
  static Template parse(std::string_view source, std::string name_for_errors);

  /// globals is a dict of names. Throws kInvalidArgument with name and line for an error of the template's (what
  /// raise_exception says among them), kUnsupported for what this interpreter lacks or a limit that is reached.
  Rendered render(const Value& globals, const RenderOptions& options = {}) const;

 private:
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

}  // namespace tca::runtime::jinja
