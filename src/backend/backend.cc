#include "tca/backend.h"

#include <cstdlib>

#include "core/check.h"
#include "cpu/cpu_backend.h"
#include "reference/reference_backend.h"

namespace tca {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Backend> (*create)(ThreadPool& pool);
};

/// Fastest first: the first one is what "auto" means.
constexpr Entry kBackends[] = {
    {"cpu", create_cpu_backend},
    {"reference", [](ThreadPool&) { return create_reference_backend(); }},
};

}  // namespace

std::vector<std::string> available_backends() {
  std::vector<std::string> names;
  for (const Entry& entry : kBackends) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<Backend> create_backend(std::string_view name, ThreadPool& pool) {
  const char* environment = name == "auto" ? std::getenv("TCA_BACKEND") : nullptr;
  const bool overridden = environment != nullptr && *environment != '\0';
  const std::string_view wanted = overridden ? environment : name;
  if (wanted == "auto") return kBackends[0].create(pool);
  for (const Entry& entry : kBackends) {
    if (wanted == entry.name) return entry.create(pool);
  }
  std::string names = "auto";
  for (const Entry& entry : kBackends) names += text(", ", entry.name);
  fail(ErrorCategory::kUnsupported,
       text(overridden ? "TCA_BACKEND" : "backend", " is \"", wanted, "\", but this build has: ", names));
}

}  // namespace tca
