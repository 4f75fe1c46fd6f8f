// What the program asks of the GPU: whether there is one, its name, how much of its memory is in use.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/io/model_config.h"

namespace tca::runtime::gpu {

/// Throws kUnsupported with CUDA's words when there is no usable GPU.
void require();
/// "NVIDIA H200, compute capability 9.0, ... MiB"; empty when there is no usable GPU.
std::string description();
/// Whether there is a GPU that computes models of this configuration.
bool computes(const ModelConfig& config);

/// Most bytes allocated at a time since reset_peak(), of weights, caches and activations; 0 without a GPU.
std::uint64_t peak_bytes();
void reset_peak();

}  // namespace tca::runtime::gpu
