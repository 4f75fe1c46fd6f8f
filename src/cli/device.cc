#include "cli/device.h"

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <optional>

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
void require_gpu() { runtime::gpu::require(); }
#else
bool gpu_computes(const runtime::ModelConfig&) { return false; }
[[noreturn]] void require_gpu() {
  throw Error(ErrorCategory::kUnsupported,
              "this build has no CUDA: build it where nvcc and cuBLASLt are (TCA_CUDA=ON), or use --device cpu");
}
#endif

/// N of "cuda:N", 0 of "cuda", none of devices that are no GPU. create_backend() says what is wrong with a number.
std::optional<std::int32_t> gpu_of(const std::string& device) {
  if (device == "cuda") return 0;
  if (!device.starts_with("cuda:")) return std::nullopt;
  std::int32_t number = 0;
  const char* const end = device.data() + device.size();
  if (std::from_chars(device.data() + 5, end, number).ptr != end) return std::nullopt;
  return number;
}

std::string automatic_device(const ModelArgs& args, const runtime::ModelConfig& config) {
  const char* environment = std::getenv("TCA_BACKEND");
  if (environment != nullptr && *environment != '\0') return environment;
  const bool cpu_only = args.compute == "fp32" || args.weights == "int8";
  return !cpu_only && gpu_computes(config) ? "cuda" : "cpu";
}

}  // namespace

std::string choose_device(const ModelArgs& args, const runtime::ModelConfig& config) {
  const std::string device = args.device == "auto" ? automatic_device(args, config) : args.device;
  if (gpu_of(device) && args.weights == "int8") {
    throw UsageError("--weights int8 is computed on the CPU: use --device cpu in place of cuda, or --weights stored");
  }
  if (args.device == "cuda") require_gpu();
  return device;
}

#ifdef TCA_WITH_CUDA_MODELS

std::string gpu_description() { return runtime::gpu::description(); }

std::shared_ptr<const runtime::Model> load_on_device(const std::string& device, const std::string& dir,
                                                     ThreadPool& pool, const runtime::ModelOptions& options) {
  if (const auto gpu = gpu_of(device)) {
    return runtime::load_on_gpu(dir, pool, {.compute = options.compute, .device = *gpu});
  }
  return runtime::Model::load(dir, pool, options);
}

std::shared_ptr<const runtime::Model> random_model_on_gpu(const runtime::ModelConfig& config, std::uint64_t seed) {
  return runtime::random_model(config, seed);
}

std::uint64_t peak_gpu_bytes() { return runtime::gpu::peak_bytes(); }
void reset_peak_gpu() { runtime::gpu::reset_peak(); }

#else

std::string gpu_description() { return ""; }

std::shared_ptr<const runtime::Model> load_on_device(const std::string& device, const std::string& dir,
                                                     ThreadPool& pool, const runtime::ModelOptions& options) {
  if (gpu_of(device)) require_gpu();
  return runtime::Model::load(dir, pool, options);
}

std::shared_ptr<const runtime::Model> random_model_on_gpu(const runtime::ModelConfig&, std::uint64_t) { require_gpu(); }

std::uint64_t peak_gpu_bytes() { return 0; }
void reset_peak_gpu() {}

#endif

}  // namespace tca::cli
