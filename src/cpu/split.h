// How work is cut into items: by the shape of the problem alone, so that results do not depend on the threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "cpu/tile_attention.h"

namespace tca::cpu {

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Query rows of a tile: fewer than max_query_rows for short sequences, so that there is work for many threads.
constexpr std::int32_t query_tile_rows(const TileKernels& kernels, std::int64_t total_rows, std::int32_t head_dim) {
  constexpr std::int64_t kWantedTiles = 16;
  const std::int64_t rows = divide_up(divide_up(total_rows, kWantedTiles), kRowStep) * kRowStep;
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(rows, kRowStep, max_query_rows(kernels, head_dim)));
}

/// Parts that the keys of one query tile are cut into, when query tiles and heads alone give too few items.
constexpr std::int32_t key_splits(std::int64_t items, std::int32_t num_tiles) {
  constexpr std::int64_t kWantedItems = 64;
  constexpr std::int32_t kMinTiles = 16;  // 1024 keys: merging is then negligible
  const std::int64_t wanted = kWantedItems / std::max<std::int64_t>(1, items);
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(wanted, 1, std::max(1, num_tiles / kMinTiles)));
}

/// The part-th of `parts` nearly equal ranges of num_tiles tiles.
constexpr TileRange split_tiles(std::int32_t num_tiles, std::int32_t part, std::int32_t parts) {
  return {.begin = static_cast<std::int32_t>(std::int64_t{num_tiles} * part / parts),
          .end = static_cast<std::int32_t>(std::int64_t{num_tiles} * (part + 1) / parts)};
}

/// Counts down the parts of one result. Whoever finishes the last part merges them all, in order.
class PartsLeft {
 public:
  explicit PartsLeft(std::int32_t parts) : left_(parts) {}
  /// True for the last of the parts; what the others wrote is then visible.
  bool finish_one() { return left_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

 private:
  std::atomic<std::int32_t> left_;
};

}  // namespace tca::cpu
