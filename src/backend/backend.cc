#include "tca/backend.h"

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <optional>

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
constexpr std::string_view kCuda = "cuda";

/// Fastest first.
constexpr Entry kBackends[] = {
#ifdef TCA_WITH_CUDA
    {"cuda", [](ThreadPool&) { return create_cuda_backend(cuda::Device::get()); },
     [] { return cuda::Device::available(); }},
#endif
    {"cpu", create_cpu_backend},
    {"reference", [](ThreadPool&) { return create_reference_backend(); }},
};

/// N of "cuda:N".
std::optional<std::int32_t> device_of(std::string_view name) {
  if (!name.starts_with(kCuda) || !name.substr(kCuda.size()).starts_with(':')) return std::nullopt;
  const std::string_view number = name.substr(kCuda.size() + 1);
  std::int32_t device = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), device);
  const bool all = error == std::errc() && end == number.data() + number.size() && device >= 0;
  check_argument(all, "backend is \"", name, "\"; expected the number of a GPU behind \"cuda:\", counted from 0");
  return device;
}

/// Throws for what this build does not have.
[[noreturn]] void refuse(std::string_view asked, const char* who) {
  std::string names = "auto";
  for (const Entry& entry : kBackends) names += text(", ", entry.name);
  fail(ErrorCategory::kUnsupported, text(who, " is \"", asked, "\", but this build has: ", names));
}

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
  const char* const who = overridden ? "TCA_BACKEND" : "backend";
  const std::string_view asked = overridden ? environment : name;
  const std::string_view wanted = asked == "auto" ? kDefault : asked;
#ifdef TCA_WITH_CUDA
  if (const auto device = device_of(wanted)) return create_cuda_backend(cuda::Device::get(*device));
#endif
  for (const Entry& entry : kBackends) {
    // A backend that is not usable says itself why.
    if (wanted == entry.name) return entry.create(pool);
  }
  refuse(wanted, who);
}

std::unique_ptr<Backend> create_backend(std::string_view name, ThreadPool& /*pool*/, const Stream& stream) {
  const std::optional<std::int32_t> device = device_of(name);
  check_argument(device || name == kCuda, "backend is \"", name,
                 "\", which has no streams; expected \"cuda\" or \"cuda:", stream.device, "\"");
  check_argument(!device || *device == stream.device, "backend is \"", name, "\", but the stream is one of GPU ",
                 stream.device);
#ifdef TCA_WITH_CUDA
  return create_cuda_backend(cuda::Device::on(stream));
#else
  refuse(name, "backend");
#endif
}

}  // namespace tca
