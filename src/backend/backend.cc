#include "tca/backend.h"

#include <cstdlib>

#include "core/check.h"
#include "cpu/cpu_backend.h"
#include "reference/reference_backend.h"
#ifdef TCA_WITH_CUDA
#include "cuda/backend/cuda_backend.h"
#include "cuda/device.h"
#endif

namespace tca {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Backend> (*create)(ThreadPool& pool);
  bool (*usable)() = [] { return true; };  // on this machine
};

/// Fastest first: the first usable one is what "auto" means.
constexpr Entry kBackends[] = {
#ifdef TCA_WITH_CUDA
    {"cuda", create_cuda_backend, [] { return cuda::Device::available(); }},
#endif
    {"cpu", create_cpu_backend},
    {"reference", [](ThreadPool&) { return create_reference_backend(); }},
};

}  // namespace

std::vector<std::string> available_backends() {
  std::vector<std::string> names;
  for (const Entry& entry : kBackends) {
    if (entry.usable()) names.emplace_back(entry.name);
  }
  return names;
}

std::unique_ptr<Backend> create_backend(std::string_view name, ThreadPool& pool) {
  const char* environment = name == "auto" ? std::getenv("TCA_BACKEND") : nullptr;
  const bool overridden = environment != nullptr && *environment != '\0';
  const std::string_view wanted = overridden ? environment : name;
  std::string names = "auto";
  for (const Entry& entry : kBackends) {
    // A backend that was named says itself why it cannot be had.
    if (wanted == entry.name || (wanted == "auto" && entry.usable())) return entry.create(pool);
    names += text(", ", entry.name);
  }
  fail(ErrorCategory::kUnsupported,
       text(overridden ? "TCA_BACKEND" : "backend", " is \"", wanted, "\", but this build has: ", names));
}

}  // namespace tca
