#include "core/checksum.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tca {
namespace {

// Odd, so that multiplication has an inverse: 2^64 times the fractional parts of the golden ratio and of sqrt(3).
constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
constexpr std::uint64_t kOtherOdd = 0xbb67ae8584caa73b;

// The word is spread before it meets the state, lest a flipped bit be undone by one in the next word.
std::uint64_t step(std::uint64_t state, std::uint64_t word) { return std::rotl(state ^ (word * kOdd), 31) * kOtherOdd; }

}  // namespace

void Checksum64::mix(Lanes& lanes, const void* block) {
  Lanes words;
  std::memcpy(words.data(), block, kBlock);
  for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = step(lanes[i], words[i]);
}

void Checksum64::update(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  const std::size_t filled = size_ % kBlock;
  size_ += size;
  if (filled > 0) {
    const std::size_t taken = std::min(size, kBlock - filled);
    std::copy_n(bytes, taken, buffer_.begin() + static_cast<std::ptrdiff_t>(filled));
    if (filled + taken < kBlock) return;
    mix(lanes_, buffer_.data());
    bytes += taken;
    size -= taken;
  }
  Lanes lanes = lanes_;  // in registers
  for (; size >= kBlock; bytes += kBlock, size -= kBlock) mix(lanes, bytes);
  lanes_ = lanes;
  std::copy_n(bytes, size, buffer_.begin());
}

std::uint64_t Checksum64::value() const {
  Lanes lanes = lanes_;
  std::array<std::byte, kBlock> rest{};
  std::copy_n(buffer_.begin(), size_ % kBlock, rest.begin());
  mix(lanes, rest.data());
  std::uint64_t sum = size_;
  for (const std::uint64_t lane : lanes) sum = step(sum, lane);
  sum = (sum ^ (sum >> 32)) * kOdd;
  return sum ^ (sum >> 29);
}

}  // namespace tca
