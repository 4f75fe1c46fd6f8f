// What the forward pass on the CPU computes in, and by what: the table behind --compute.
#pragma once

#include <string>

#include "tca/tensor.h"

namespace tca::runtime {

/// kAuto: what is fastest on this CPU.
enum class ComputeType { kAuto, kBF16, kF32 };

/// Of each part of the forward pass. Weights stay as the checkpoint has them where they are bf16, whatever they meet.
struct Precision {
  DType activations = DType::kBF16;  // x of the products; sums are fp32
  DType kv = DType::kBF16;           // queries, keys, values and pages
  bool operator==(const Precision&) const = default;
};

/// By instruction set (docs/kernels/cpu.md has the measurements). Without bf16 products fp32 ones are faster than what
/// emulates them and activations lose nothing; keys and values stay bf16, half the bytes that decoding reads.
constexpr Precision choose_precision(ComputeType asked, bool bf16_products) {
  if (asked == ComputeType::kBF16 || (asked == ComputeType::kAuto && bf16_products)) return {};
  return {.activations = DType::kF32, .kv = asked == ComputeType::kF32 ? DType::kF32 : DType::kBF16};
}

/// Whether this CPU multiplies bf16 by instructions of its own (AVX512_BF16, AMX) and this build has the kernels
/// (oneDNN's). Not when the environment's TCA_CPU_TARGET names a path without them.
bool has_bf16_products();

/// What multiplies: of blocks of rows with activations of dtype, and of few rows. "oneDNN bf16", "AVX2 fp32".
std::string block_products_name(DType activations);
std::string row_products_name();

}  // namespace tca::runtime
