// tca_jinja: a filter that lets the Python tests reach the interpreter.
// A line of standard input is {"template", "context", "trusted": [names of globals that are no data], "now"}; a line of
// standard output {"text", "foreign": [[begin, end]...], "generated": [...]} in bytes, or {"error", "category"}.
#include <chrono>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "runtime/jinja/template.h"
#include "tca/error.h"

namespace {

using nlohmann::ordered_json;
using tca::runtime::jinja::Origin;
using tca::runtime::jinja::RenderOptions;
using tca::runtime::jinja::Span;
using tca::runtime::jinja::Template;
using tca::runtime::jinja::Value;

ordered_json pairs(const std::vector<Span>& spans) {
  ordered_json result = ordered_json::array();
  for (const Span& span : spans) result.push_back({span.begin, span.end});
  return result;
}

bool is_trusted(const ordered_json& request, const std::string& name) {
  if (!request.contains("trusted")) return false;
  for (const auto& trusted : request["trusted"]) {
    if (trusted == name) return true;
  }
  return false;
}

ordered_json answer(const ordered_json& request) {
  try {
    std::vector<std::pair<std::string, Value>> globals;
    for (const auto& [name, value] : request.at("context").items()) {
      globals.emplace_back(name,
                           Value::from_json(value, is_trusted(request, name) ? Origin::kTrusted : Origin::kForeign));
    }
    RenderOptions options;
    if (request.contains("now")) {
      options.now =
          std::chrono::system_clock::time_point(std::chrono::microseconds(request["now"].get<std::int64_t>()));
    }
    const auto form = Template::parse(request.at("template").get<std::string>(), "template");
    const auto rendered = form.render(Value::dict(globals), options);
    return {{"text", rendered.text.bytes()},
            {"foreign", pairs(rendered.text.foreign())},
            {"generated", pairs(rendered.generated)}};
  } catch (const tca::Error& error) {
    return {{"error", error.what()}, {"category", static_cast<int>(error.category())}};
  }
}

}  // namespace

int main() {
  try {
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << answer(ordered_json::parse(line)).dump(-1, ' ', true) << std::endl;
    }
  } catch (const std::exception& error) {
    std::cerr << "tca_jinja: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
