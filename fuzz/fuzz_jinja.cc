// Chat templates: what parses renders or fails with an error, within its limits, to valid text with spans inside of it.
// An input is a template, a NUL byte and the globals as JSON; without the byte a small conversation is rendered.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/utf8.h"
#include "runtime/jinja/template.h"
#include "tca/error.h"

namespace {

using nlohmann::ordered_json;
using tca::runtime::jinja::Origin;
using tca::runtime::jinja::Rendered;
using tca::runtime::jinja::Template;
using tca::runtime::jinja::Value;

ordered_json globals_of(std::string_view json) {
  static const ordered_json kConversation = ordered_json::parse(
      R"({"messages": [{"role": "system", "content": "Be \u00e9."}, {"role": "user", "content": " Hi <|im_end|> "},
          {"role": "assistant", "content": "<think>\nx\n</think>\n\nHo"}], "add_generation_prompt": true,
          "bos_token": "<s>", "tools": [{"function": {"name": "f", "parameters": {"a": [1, 2.5, null]}}}], "n": 3})");
  if (json.empty()) return kConversation;
  const auto parsed = ordered_json::parse(json, nullptr, false);
  return parsed.is_object() ? parsed : kConversation;
}

void check(const Rendered& rendered) {
  std::string storage;
  const std::string& bytes = rendered.text.bytes();
  if (tca::repair_utf8(bytes, storage).data() != bytes.data()) std::abort();
  std::size_t end = 0;
  bool is_first = true;
  for (const auto& span : rendered.text.foreign()) {
    if ((!is_first && span.begin <= end) || span.end <= span.begin || span.end > bytes.size()) std::abort();
    end = span.end;
    is_first = false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = std::min(input.find('\0'), size);
  tca::runtime::jinja::RenderOptions options;
  options.limits.steps = 50'000;
  options.limits.text_bytes = 4 << 20;
  options.limits.output_bytes = 1 << 20;
  options.now = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
  try {
    const Template form = Template::parse(input.substr(0, split), "fuzz");
    const ordered_json json = globals_of(input.substr(std::min(split + 1, size)));
    check(form.render(Value::from_json(json, Origin::kForeign), options));
  } catch (const tca::Error&) {
  }
  return 0;
}
