// A fast 64-bit checksum against damaged files (not against forged ones).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tca {

/// Every step is a bijection of the state for a given word and of the word for a given state, so that a change confined
/// to one 8-byte word always changes the result; any other goes unseen with a chance of about 2^-64.
class Checksum64 {
 public:
  void update(const void* data, std::size_t size);
  /// Of everything so far; more may follow.
  std::uint64_t value() const;

 private:
  static constexpr std::size_t kLanes = 4;  // independent, to overlap the latency of their multiplications
  static constexpr std::size_t kBlock = kLanes * sizeof(std::uint64_t);
  using Lanes = std::array<std::uint64_t, kLanes>;

  static void mix(Lanes& lanes, const void* block);

  Lanes lanes_ = {1, 2, 3, 4};
  std::array<std::byte, kBlock> buffer_{};
  std::uint64_t size_ = 0;  // bytes so far
};

}  // namespace tca
