// What the program asks of the GPU: whether there is one, its name, how much of its memory is in use.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/io/model_config.h"

namespace tca::runtime::gpu {

/// Throws kUnsupported with CUDA's words when there is no such usable GPU.
void require(std::int32_t device = 0);
/// "NVIDIA H200, compute capability 9.0, ... MiB"; empty when there is no usable GPU.
std::string description(std::int32_t device = 0);
/// Whether the first GPU is one that computes models of this configuration.
bool computes(const ModelConfig& config);

/// Most bytes allocated at a time since reset_peak(), of weights, caches and activations; 0 without a GPU.
std::uint64_t peak_bytes(std::int32_t device = 0);
void reset_peak(std::int32_t device = 0);

}  // namespace tca::runtime::gpu
