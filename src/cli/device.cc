#include "cli/device.h"

#include <cstdlib>

#include "tca/error.h"

#ifdef TCA_WITH_CUDA_MODELS
#include "runtime/cuda/cuda_model.h"
#include "runtime/cuda/gpu.h"
#endif

namespace tca::cli {
namespace {

#ifndef TCA_WITH_CUDA_MODELS
[[noreturn]] void fail_without_cuda() {
  throw Error(ErrorCategory::kUnsupported,
              "this build has no CUDA: build it where nvcc and cuBLASLt are (TCA_CUDA=ON), or use --device cpu");
}
#endif

}  // namespace

#ifdef TCA_WITH_CUDA_MODELS

std::string gpu_description() { return runtime::gpu::description(); }

std::string choose_device(const std::string& wanted, const runtime::ModelConfig& config, const std::string& compute) {
  if (wanted == "cuda") runtime::gpu::require();
  if (wanted != "auto") return wanted;
  const char* environment = std::getenv("TCA_BACKEND");
  if (environment != nullptr && *environment != '\0') return environment;
  return compute != "fp32" && runtime::gpu::computes(config) ? "cuda" : "cpu";
}

std::shared_ptr<const runtime::Model> load_on_device(const std::string& device, const std::string& dir,
                                                     ThreadPool& pool, runtime::ComputeType compute) {
  if (device == "cuda") return runtime::load_on_gpu(dir, pool, {.compute = compute});
  return runtime::Model::load(dir, pool, {.compute = compute});
}

std::shared_ptr<const runtime::Model> random_model_on_gpu(const runtime::ModelConfig& config, std::uint64_t seed) {
  return runtime::random_model(config, seed);
}

std::uint64_t peak_gpu_bytes() { return runtime::gpu::peak_bytes(); }
void reset_peak_gpu() { runtime::gpu::reset_peak(); }

#else

std::string gpu_description() { return ""; }

std::string choose_device(const std::string& wanted, const runtime::ModelConfig&, const std::string&) {
  if (wanted == "cuda") fail_without_cuda();
  if (wanted != "auto") return wanted;
  const char* environment = std::getenv("TCA_BACKEND");
  return environment != nullptr && *environment != '\0' ? environment : "cpu";
}

std::shared_ptr<const runtime::Model> load_on_device(const std::string& device, const std::string& dir,
                                                     ThreadPool& pool, runtime::ComputeType compute) {
  if (device == "cuda") fail_without_cuda();
  return runtime::Model::load(dir, pool, {.compute = compute});
}

std::shared_ptr<const runtime::Model> random_model_on_gpu(const runtime::ModelConfig&, std::uint64_t) {
  fail_without_cuda();
}

std::uint64_t peak_gpu_bytes() { return 0; }
void reset_peak_gpu() {}

#endif

}  // namespace tca::cli
