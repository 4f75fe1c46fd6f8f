// AMX's tile registers. Compilers' intrinsics take a register's number as a literal token and do not say that a load
// reads memory; these take template arguments, and are barriers for the compiler. With TCA_EMULATED_TILES registers are
// memory, for tests on machines without AMX. Included once, within the attributes of the file that uses it.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512bf16,amx-tile")
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace tile {

constexpr std::int32_t kRows = 16;
constexpr std::size_t kRowBytes = 64;
constexpr std::size_t kBytes = kRows * kRowBytes;

#ifdef TCA_EMULATED_TILES

struct Register {
  alignas(64) std::byte row[kRows][kRowBytes];
};
inline thread_local Register registers[8];

inline void configure() {}
inline void release() {}

template <int kTile>
HWY_INLINE void zero() {
  registers[kTile] = {};
}
template <int kTile>
HWY_INLINE void load(const void* from, std::size_t stride) {
  for (std::int32_t i = 0; i < kRows; ++i) {
    std::memcpy(registers[kTile].row[i], static_cast<const std::byte*>(from) + i * stride, kRowBytes);
  }
}
template <int kTile>
HWY_INLINE void store(void* to, std::size_t stride) {
  for (std::int32_t i = 0; i < kRows; ++i) {
    std::memcpy(static_cast<std::byte*>(to) + i * stride, registers[kTile].row[i], kRowBytes);
  }
}
template <int kSum, int kA, int kB>
HWY_INLINE void multiply() {
  for (std::int32_t i = 0; i < kRows; ++i) {
    __m512 sum = _mm512_load_ps(registers[kSum].row[i]);
    for (std::size_t pair = 0; pair < kRows; ++pair) {
      std::int32_t a;
      std::memcpy(&a, registers[kA].row[i] + pair * sizeof(a), sizeof(a));
      sum = _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_epi32(a)),
                             reinterpret_cast<__m512bh>(_mm512_load_si512(registers[kB].row[pair])));
    }
    _mm512_store_ps(registers[kSum].row[i], sum);
  }
}

#else

/// What LDTILECFG reads: eight tiles of 16 rows of 64 bytes.
struct Config {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(Config) == 64);

/// Others (matrix libraries) shape the registers of a thread, too: to be called before and after their use.
inline void configure() {
  alignas(64) static constexpr Config kConfig;
  asm volatile("ldtilecfg %0" ::"m"(kConfig));
}
inline void release() { asm volatile("tilerelease"); }

template <int kTile>
HWY_INLINE void zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}
/// 16 rows of 64 bytes, stride bytes apart.
template <int kTile>
HWY_INLINE void load(const void* from, std::size_t stride) {
  asm volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(kTile), "r"(from), "r"(stride) : "memory");
}
template <int kTile>
HWY_INLINE void store(void* to, std::size_t stride) {
  asm volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(kTile), "r"(to), "r"(stride) : "memory");
}
/// sum [16][16] fp32 += a [16][32] bf16 . b, b being [16] pairs of rows [2][16].
template <int kSum, int kA, int kB>
HWY_INLINE void multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kA), "i"(kB));
}

#endif

}  // namespace tile
}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_POP_ATTRIBUTES
