#include "cpu/break_even.h"

#include <array>
#include <limits>

namespace tca::cpu {
namespace {

constexpr std::array<double, 3> kShares = {0.4, 0.6, 0.8};

// Tokens at which selection and sparse prefill take no longer than dense prefill for head_dim 64 and 128, by
// tca_bench_break_even (docs/kernels/cpu.md). Where products cost less, selection weighs more.
constexpr std::array<std::int64_t, 3> kVectors = {768, 1024, 2048};
constexpr std::array<std::int64_t, 3> kAmx = {1024, 1536, 4096};

}  // namespace

std::int64_t break_even_tokens(const KernelSet& kernels, double kept_share) {
  const std::array<std::int64_t, 3>& tokens = kernels.name == "AMX_BF16" ? kAmx : kVectors;
  for (std::size_t i = 0; i < kShares.size(); ++i) {
    if (kept_share <= kShares[i]) return tokens[i];
  }
  return std::numeric_limits<std::int64_t>::max();
}

}  // namespace tca::cpu
