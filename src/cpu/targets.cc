#include "cpu/targets.h"

#include "core/check.h"
#include "hwy/highway.h"
#include "hwy/targets.h"

#if HWY_ARCH_X86_64 && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tca::cpu {
namespace {

std::vector<KernelSet> detect_targets() {
  std::vector<KernelSet> sets;
  // Highway numbers better targets lower.
  const std::int64_t supported = hwy::SupportedTargets() | HWY_STATIC_TARGET;
  for (int bit = 0; bit < 63; ++bit) {
    const std::int64_t target = std::int64_t{1} << bit;
    const TileKernels* const tiles = tile_kernels(target);
    const RowKernels* const rows = row_kernels(target);
    if ((supported & target) == 0 || tiles == nullptr || rows == nullptr) continue;
    sets.push_back({.name = hwy::TargetName(target), .tiles = tiles, .rows = rows});
  }
  if (avx512_bf16_tile_kernels() != nullptr) {
    KernelSet best = sets.front();
    best.name = "AVX512_BF16";
    best.tiles_bf16 = avx512_bf16_tile_kernels();
    best.rows_bf16 = avx512_bf16_row_kernels();
    sets.insert(sets.begin(), best);
  }
  if (amx_bf16_tile_kernels() != nullptr) {
    KernelSet best = sets.front();
    best.name = "AMX_BF16";
    best.tiles_bf16 = amx_bf16_tile_kernels();
    sets.insert(sets.begin(), best);
  }
  return sets;
}

}  // namespace

bool has_avx512_bf16() {
#if HWY_ARCH_X86
  return (hwy::SupportedTargets() & HWY_AVX3) != 0 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool has_amx_bf16() {
#if HWY_ARCH_X86_64 && defined(__linux__)
  static const bool usable = [] {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
    if ((edx & kAmxBf16) == 0 || (edx & kAmxTile) == 0) return false;
    // Tile registers are 8 KiB more to save for every thread, so Linux wants to be asked.
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return usable && has_avx512_bf16();
#else
  return false;
#endif
}

const std::vector<KernelSet>& usable_targets() {
  static const std::vector<KernelSet> targets = detect_targets();
  return targets;
}

const KernelSet& find_target(const std::string& name) {
  std::string usable;
  for (const KernelSet& set : usable_targets()) {
    if (set.name == name) return set;
    usable += text(usable.empty() ? "" : ", ", set.name);
  }
  fail(ErrorCategory::kUnsupported, text("CPU target '", name, "' is not usable here; usable: ", usable));
}

}  // namespace tca::cpu
