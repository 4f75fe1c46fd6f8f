// Tile shapes of the Hopper prefill kernel, derived from the register file and shared memory of one SM.
#pragma once

#include <cstdint>

namespace tca::cuda::sm90 {

/// One producer warpgroup, kConsumers warpgroups of 64 query rows each. 64K registers an SM: with 2 consumers 240 a
/// thread hold O (head_dim / 2), S (64) and P (32); with 3 consumers 160 do for head_dim 64.
template <int kHeadDim_>
struct PrefillConfig {
  static constexpr int kHeadDim = kHeadDim_;
  static_assert(kHeadDim == 64 || kHeadDim == 128);
  static constexpr int kConsumers = kHeadDim == 64 ? 3 : 2;
  static constexpr int kRows = 64 * kConsumers;  // query rows of a tile
  static constexpr int kKeys = 128;              // keys of a tile: one wgmma n
  static constexpr int kChunks = kHeadDim / 64;  // 128-byte swizzled columns of 64 elements
  static constexpr int kStages = 2;
  static constexpr int kThreads = 128 * (1 + kConsumers);
  static constexpr int kProducerRegisters = kConsumers == 2 ? 24 : 32;
  static constexpr int kConsumerRegisters = kConsumers == 2 ? 240 : 160;
  static constexpr int kQBytes = kRows * kHeadDim * 2;
  static constexpr int kTileBytes = kKeys * kHeadDim * 2;
};

/// Operands first: each must start at a multiple of 1024 bytes (the swizzle atom).
template <class Config>
struct PrefillShared {
  alignas(1024) std::uint8_t q[Config::kQBytes];
  alignas(1024) std::uint8_t k[Config::kStages][Config::kTileBytes];
  alignas(1024) std::uint8_t v[Config::kStages][Config::kTileBytes];
  std::uint64_t q_full;
  std::uint64_t k_full[Config::kStages], k_empty[Config::kStages];
  std::uint64_t v_full[Config::kStages], v_empty[Config::kStages];
};

}  // namespace tca::cuda::sm90
