#include "cpu/targets.h"
namespace tca::cpu {
const TileKernels* avx512_bf16_tile_kernels() { return nullptr; }
}  // namespace tca::cpu
