// Where a model runs: --device, and what the program says of the GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cli/loaded_model.h"
#include "runtime/io/model_config.h"
#include "runtime/model/model.h"
#include "tca/thread_pool.h"

namespace tca::cli {

/// Name, compute capability and memory of the GPU this build can use; empty when there is none.
std::string gpu_description();

/// "cpu", "cuda" or "reference" for what was asked for: auto is TCA_BACKEND, else the GPU where it can compute this
/// model. Throws kUnsupported when the GPU was asked for and there is none, UsageError when the GPU does not go with
/// the other arguments.
std::string choose_device(const ModelArgs& args, const runtime::ModelConfig& config);

std::shared_ptr<const runtime::Model> load_on_device(const std::string& device, const std::string& dir,
                                                     ThreadPool& pool, const runtime::ModelOptions& options);
/// A model of a shape, with random weights, on the GPU. Throws kUnsupported when there is none.
std::shared_ptr<const runtime::Model> random_model_on_gpu(const runtime::ModelConfig& config, std::uint64_t seed);

/// Most bytes allocated on the GPU since the last reset; 0 without a GPU.
std::uint64_t peak_gpu_bytes();
void reset_peak_gpu();

}  // namespace tca::cli
