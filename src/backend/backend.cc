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

/// What "auto" means: it takes any tensor and any pool. A GPU takes neither fp32 nor pools in host memory, so who wants
/// it says so.
constexpr std::string_view kDefault = "cpu";

/// Fastest first.
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
  const std::string_view asked = overridden ? environment : name;
  const std::string_view wanted = asked == "auto" ? kDefault : asked;
  std::string names = "auto";
  for (const Entry& entry : kBackends) {
    // A backend that is not usable says itself why.
    if (wanted == entry.name) return entry.create(pool);
    names += text(", ", entry.name);
  }
  fail(ErrorCategory::kUnsupported,
       text(overridden ? "TCA_BACKEND" : "backend", " is \"", wanted, "\", but this build has: ", names));
}

}  // namespace tca
