// Which keys a tile of query rows goes through, in which order: slots of a cache, listed positions of a segment, a
// range of a segment, cut into tiles of up to 64 keys. Nothing is copied: a tile is a list of row pointers.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "cpu/kernels.h"
#include "tca/attention.h"
#include "tca/kv_cache.h"
#include "tca/tensor.h"

namespace tca::cpu {

inline constexpr std::int32_t kNoReachLimit = INT32_MAX;

/// Keys [begin, end) of a tile.
struct KeySpan {
  std::int32_t begin = 0;
  std::int32_t end = 0;
};

struct KeyTile {
  std::int32_t count = 0;
  bool everyone = false;  // every row sees every key; else `visibility` says
  Visibility visibility;
  std::array<const void*, kTileKeys> k;
  std::array<const void*, kTileKeys> v;  // not set when the plan has no values
  std::array<std::int32_t, kTileKeys> positions;

  /// The keys that any row at a position in [first, last] sees: positions of a tile ascend.
  KeySpan seen_by_any(std::int32_t first, std::int32_t last) const;
  /// Whether all rows at positions in [first, last] see all keys of a span.
  bool seen_by_all(const KeySpan& span, std::int32_t first, std::int32_t last) const {
    const auto begin = static_cast<std::size_t>(span.begin), back = static_cast<std::size_t>(span.end - 1);
    return everyone || (positions[back] <= first - visibility.lag && positions[begin] > last - visibility.reach);
  }
};

/// The keys of one KV head of a segment.
struct SegmentHead {
  const TensorView* k = nullptr;
  const TensorView* v = nullptr;  // null where only scores are asked for
  std::int32_t kv_head = 0;
};

/// Refers to the tensors, cache and position list it was made of.
class KeyPlan {
 public:
  /// Slots [begin, end) of a cache. everyone: no position matters.
  void add_slots(const KvCache& cache, std::int32_t layer, std::int32_t kv_head, std::int64_t begin, std::int64_t end,
                 bool everyone, Visibility visibility = {});
  /// Tokens of a segment at ascending positions.
  void add_positions(const SegmentHead& head, std::span<const std::int32_t> positions, Visibility visibility);
  /// Tokens [begin, end) of a segment.
  void add_range(const SegmentHead& head, std::int64_t begin, std::int64_t end, Visibility visibility);
  /// The same, seen by every row whatever its position.
  void add_range_for_everyone(const SegmentHead& head, std::int64_t begin, std::int64_t end);

  std::int32_t num_tiles() const { return num_tiles_; }
  /// tile in [0, num_tiles).
  void fill(std::int32_t tile, KeyTile& out) const;

 private:
  struct Source {
    const KvCache* cache = nullptr;  // null: a segment
    std::int32_t layer = 0;
    SegmentHead head;
    const std::int32_t* positions = nullptr;  // null: begin, begin + 1, ...
    std::int64_t begin = 0, end = 0;          // slots, indices into positions, or tokens
    bool everyone = false;
    Visibility visibility;
    std::int32_t first_tile = 0;
  };
  void add(Source source);
  static void fill_slots(const Source& source, std::int64_t begin, KeyTile& out);
  static void fill_tokens(const Source& source, std::int64_t begin, KeyTile& out);

  std::array<Source, 4> sources_;  // past, sinks, kept, window
  std::int32_t num_sources_ = 0;
  std::int32_t num_tiles_ = 0;
};

/// Everything a past holds; nothing without one.
void add_past(const Past& past, std::int32_t kv_head, KeyPlan& plan);
/// What queries at segment positions [first, last] of a sparse or dense (kept null) prefill see of the segment: step 5
/// of docs/algorithm.md. No key is listed twice for a row: the kept ones are those before its window.
void add_segment(const SegmentHead& head, const KeptSet* kept, std::int32_t window, std::int32_t sinks,
                 std::int32_t first, std::int32_t last, KeyPlan& plan);

}  // namespace tca::cpu
