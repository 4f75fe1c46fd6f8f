#include "cli/device.h"

#include <charconv>
#include <cstdint>
#include <cstdlib>

#include "cli/output.h"
#include "tca/error.h"

#ifdef TCA_WITH_CUDA_MODELS
#include "runtime/cuda/cuda_model.h"
#include "runtime/cuda/gpu.h"
#endif

namespace tca::cli {
namespace {

#ifdef TCA_WITH_CUDA_MODELS
bool gpu_computes(const runtime::ModelConfig& config) { return runtime::gpu::computes(config); }
void require_gpu(std::int32_t gpu) { runtime::gpu::require(gpu); }
#else
bool gpu_computes(const runtime::ModelConfig&) { return false; }
[[noreturn]] void require_gpu(std::int32_t) {
  throw Error(ErrorCategory::kUnsupported,
              "this build has no CUDA: build it where nvcc and cuBLASLt are (TCA_CUDA=ON), or use --device cpu");
}
#endif

std::string automatic_device(const ModelArgs& args, const runtime::ModelConfig& config) {
  const char* environment = std::getenv("TCA_BACKEND");
  if (environment != nullptr && *environment != '\0') return environment;
  const bool cpu_only = args.compute == "fp32" || args.weights == "int8";
  return !cpu_only && gpu_computes(config) ? "cuda" : "cpu";
}

}  // namespace

std::optional<std::int32_t> gpu_number(std::string_view device) {
  constexpr std::string_view kNumbered = "cuda:";
  if (device == "cuda") return 0;
  if (!device.starts_with(kNumbered)) return std::nullopt;
  std::int32_t number = -1;
  const char* const end = device.data() + device.size();
  const auto [read, error] = std::from_chars(device.data() + kNumbered.size(), end, number);
  return error == std::errc() && read == end && number >= 0 ? std::optional(number) : std::nullopt;
}

std::string choose_device(const ModelArgs& args, const runtime::ModelConfig& config) {
  const std::string device = args.device == "auto" ? automatic_device(args, config) : args.device;
  const auto gpu = gpu_number(device);
  if (gpu && args.weights == "int8") {
    throw UsageError("--weights int8 is computed on the CPU: use --device cpu in place of cuda, or --weights stored");
  }
  if (gpu && args.device == device) require_gpu(*gpu);
  return device;
}

#ifdef TCA_WITH_CUDA_MODELS

std::string gpu_description() { return runtime::gpu::description(); }

std::shared_ptr<const runtime::Model> load_on_device(const std::string& device, const std::string& dir,
                                                     ThreadPool& pool, const runtime::ModelOptions& options) {
  if (const auto gpu = gpu_number(device)) {
    return runtime::load_on_gpu(dir, pool, {.compute = options.compute, .device = *gpu});
  }
  return runtime::Model::load(dir, pool, options);
}

std::shared_ptr<const runtime::Model> random_model_on_gpu(const runtime::ModelConfig& config, std::uint64_t seed,
                                                          std::int32_t gpu) {
  return runtime::random_model(config, seed, {.device = gpu});
}

std::uint64_t peak_gpu_bytes(const std::string& device) {
  const auto gpu = gpu_number(device);
  return gpu ? runtime::gpu::peak_bytes(*gpu) : 0;
}
void reset_peak_gpu(const std::string& device) {
  if (const auto gpu = gpu_number(device)) runtime::gpu::reset_peak(*gpu);
}

#else

std::string gpu_description() { return ""; }

std::shared_ptr<const runtime::Model> load_on_device(const std::string& device, const std::string& dir,
                                                     ThreadPool& pool, const runtime::ModelOptions& options) {
  if (const auto gpu = gpu_number(device)) require_gpu(*gpu);
  return runtime::Model::load(dir, pool, options);
}

std::shared_ptr<const runtime::Model> random_model_on_gpu(const runtime::ModelConfig&, std::uint64_t,
                                                          std::int32_t gpu) {
  require_gpu(gpu);
}

std::uint64_t peak_gpu_bytes(const std::string&) { return 0; }
void reset_peak_gpu(const std::string&) {}

#endif

}  // namespace tca::cli
