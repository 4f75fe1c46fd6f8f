// The instruction-set paths of this build that this machine can run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cpu/kernels.h"

namespace tca::cpu {

/// Best first; never empty.
const std::vector<KernelSet>& usable_targets();
/// Throws kUnsupported listing the usable ones when `name` is none of them.
const KernelSet& find_target(const std::string& name);

// Tables of one Highway target (HWY_AVX2, ...), each defined by the translation unit of its kernels; null when that
// target was not compiled.
const TileKernels* tile_kernels(std::int64_t target);
const RowKernels* row_kernels(std::int64_t target);

// The same by AVX-512 bf16 dot products; null when this build or this machine has none.
const TileKernels* avx512_bf16_tile_kernels();
const RowKernels* avx512_bf16_row_kernels();
// By AMX, the matrix unit of Intel's servers; null as above.
const TileKernels* amx_bf16_tile_kernels();
/// Whether processor and operating system have AMX with bf16; asks the system for the permission to use it.
bool has_amx_bf16();
/// Whether both the processor and the operating system (saved registers) have AVX-512 with bf16.
bool has_avx512_bf16();

}  // namespace tca::cpu
