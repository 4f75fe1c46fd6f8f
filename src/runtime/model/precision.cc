#include "runtime/model/precision.h"

#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cstdlib>
#include <string_view>

#ifdef TCA_WITH_ONEDNN
#include "runtime/model/block_product.h"
#endif
#include "runtime/model/kernels.h"

namespace tca::runtime {
namespace {

/// False where a path without them is asked for by name.
bool may_take_bf16() {
  const char* const forced = std::getenv("TCA_CPU_TARGET");
  const std::string_view target = forced == nullptr ? "" : forced;
  return target.empty() || target == "AVX512_BF16" || target == "AMX_BF16";
}

bool cpu_multiplies_bf16() {
#ifndef TCA_WITH_ONEDNN
  return false;
#else
#if HWY_ARCH_X86
  // oneDNN also has kernels that emulate them, slower than fp32.
  if ((hwy::SupportedTargets() & HWY_AVX3) == 0 || !__builtin_cpu_supports("avx512bf16")) return false;
#endif
  return has_bf16_kernels();
#endif
}

}  // namespace

bool has_bf16_products() {
  static const bool has = cpu_multiplies_bf16();
  return has && may_take_bf16();
}

std::string row_products_name() { return std::string(kernels::target_name()) + " fp32"; }

std::string block_products_name(DType activations) {
  return activations == DType::kBF16 && has_bf16_products() ? "oneDNN bf16" : row_products_name();
}

}  // namespace tca::runtime
