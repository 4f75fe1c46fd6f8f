// Numbers for generated tasks: the same on every machine and with every standard library.
#pragma once

#include <cstdint>
#include <random>

namespace tca::evaluation {

/// std::mt19937_64 is fixed by the standard, the standard's distributions are not: so they are not used.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// Uniform in [0, count), count >= 1.
  std::int64_t below(std::int64_t count) {
    const auto range = static_cast<std::uint64_t>(count);
    const std::uint64_t whole = UINT64_MAX - UINT64_MAX % range;  // a multiple of range: draws beyond it are redrawn
    std::uint64_t draw = engine_();
    while (draw >= whole) draw = engine_();
    return static_cast<std::int64_t>(draw % range);
  }
  /// Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace tca::evaluation
