// Where a model runs: --device, and what the program says of the GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/loaded_model.h"
#include "runtime/io/model_config.h"
#include "runtime/model/model.h"
#include "tca/thread_pool.h"

namespace tca::cli {

/// Name, compute capability and memory of the first GPU this build can use; empty when there is none.
std::string gpu_description();

/// N of "cuda:N", 0 of "cuda", none of everything else.
std::optional<std::int32_t> gpu_number(std::string_view device);

/// "cpu", "cuda", "cuda:N" or "reference" for what was asked for: auto is TCA_BACKEND, else the first GPU where it can
/// compute this model. Throws kUnsupported when a GPU was asked for and there is no such one, UsageError when the GPU
/// does not go with the other arguments.
std::string choose_device(const ModelArgs& args, const runtime::ModelConfig& config);

std::shared_ptr<const runtime::Model> load_on_device(const std::string& device, const std::string& dir,
                                                     ThreadPool& pool, const runtime::ModelOptions& options);
/// A model of a shape, with random weights, on a GPU. Throws kUnsupported when there is no such one.
std::shared_ptr<const runtime::Model> random_model_on_gpu(const runtime::ModelConfig& config, std::uint64_t seed,
                                                          std::int32_t gpu);

/// Most bytes allocated on the device since the last reset; 0 where it is no GPU.
std::uint64_t peak_gpu_bytes(const std::string& device);
void reset_peak_gpu(const std::string& device);

}  // namespace tca::cli
