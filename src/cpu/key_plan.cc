#include "cpu/key_plan.h"

#include <algorithm>

namespace tca::cpu {

KeySpan KeyTile::seen_by_any(std::int32_t first, std::int32_t last) const {
  if (everyone) return {0, count};
  const auto keys = positions.begin();
  const auto begin = std::upper_bound(keys, keys + count, first - visibility.reach);
  const auto end = std::upper_bound(begin, keys + count, last - visibility.lag);
  return {static_cast<std::int32_t>(begin - keys), static_cast<std::int32_t>(end - keys)};
}

void KeyPlan::add(Source source) {
  if (source.begin >= source.end) return;
  source.first_tile = num_tiles_;
  num_tiles_ += static_cast<std::int32_t>((source.end - source.begin + kTileKeys - 1) / kTileKeys);
  sources_[static_cast<std::size_t>(num_sources_++)] = source;
}

void KeyPlan::add_slots(const KvCache& cache, std::int32_t layer, std::int32_t kv_head, std::int64_t begin,
                        std::int64_t end, bool everyone, Visibility visibility) {
  add({.cache = &cache,
       .layer = layer,
       .head = {.kv_head = kv_head},
       .begin = begin,
       .end = end,
       .everyone = everyone,
       .visibility = visibility});
}

void KeyPlan::add_positions(const SegmentHead& head, std::span<const std::int32_t> positions, Visibility visibility) {
  add({.head = head,
       .positions = positions.data(),
       .end = static_cast<std::int64_t>(positions.size()),
       .visibility = visibility});
}

void KeyPlan::add_range(const SegmentHead& head, std::int64_t begin, std::int64_t end, Visibility visibility) {
  add({.head = head, .begin = begin, .end = end, .visibility = visibility});
}

void KeyPlan::add_range_for_everyone(const SegmentHead& head, std::int64_t begin, std::int64_t end) {
  add({.head = head, .begin = begin, .end = end, .everyone = true, .visibility = {}});
}

void KeyPlan::fill(std::int32_t tile, KeyTile& out) const {
  std::int32_t s = num_sources_ - 1;
  while (sources_[static_cast<std::size_t>(s)].first_tile > tile) --s;
  const Source& source = sources_[static_cast<std::size_t>(s)];
  const std::int64_t begin = source.begin + std::int64_t{tile - source.first_tile} * kTileKeys;
  out.count = static_cast<std::int32_t>(std::min<std::int64_t>(kTileKeys, source.end - begin));
  out.everyone = source.everyone;
  out.visibility = source.visibility;
  if (source.cache != nullptr) {
    fill_slots(source, begin, out);
  } else {
    fill_tokens(source, begin, out);
  }
}

void KeyPlan::fill_slots(const Source& source, std::int64_t begin, KeyTile& out) {
  const KvShape& shape = source.cache->shape();
  const std::size_t row_bytes = static_cast<std::size_t>(shape.head_dim) * dtype_size(shape.dtype);
  for (std::int32_t j = 0; j < out.count;) {
    const std::int64_t slot = begin + j;
    const KvPageView page =
        source.cache->page(source.layer, source.head.kv_head, static_cast<std::int32_t>(slot / kPageTokens));
    const auto first = static_cast<std::int32_t>(slot % kPageTokens);
    const std::int32_t end = std::min(page.count, first + out.count - j);
    for (std::int32_t i = first; i < end; ++i, ++j) {
      const auto at = static_cast<std::size_t>(j);
      out.k[at] = static_cast<const std::byte*>(page.k) + static_cast<std::size_t>(i) * row_bytes;
      out.v[at] = static_cast<const std::byte*>(page.v) + static_cast<std::size_t>(i) * row_bytes;
      out.positions[at] = page.positions[i];
    }
  }
}

void KeyPlan::fill_tokens(const Source& source, std::int64_t begin, KeyTile& out) {
  const SegmentHead& head = source.head;
  for (std::int32_t j = 0; j < out.count; ++j) {
    const auto at = static_cast<std::size_t>(j);
    const std::int64_t token = source.positions != nullptr ? source.positions[begin + j] : begin + j;
    out.positions[at] = static_cast<std::int32_t>(token);
    out.k[at] = head.k->row(token, head.kv_head);
    if (head.v != nullptr) out.v[at] = head.v->row(token, head.kv_head);
  }
}

void add_past(const Past& past, std::int32_t kv_head, KeyPlan& plan) {
  if (past.cache == nullptr) return;
  plan.add_slots(*past.cache, past.layer, kv_head, 0, past.cache->length(past.layer, kv_head), true);
}

void add_segment(const SegmentHead& head, const KeptSet* kept, std::int32_t window, std::int32_t sinks,
                 std::int32_t first, std::int32_t last, KeyPlan& plan) {
  if (kept == nullptr) {
    plan.add_range(head, 0, last + 1, {.reach = kNoReachLimit, .lag = 0});
    return;
  }
  const Visibility before_window{.reach = kNoReachLimit, .lag = window};
  std::span<const std::int32_t> positions = kept->head(head.kv_head);
  // Sinks come with the kept tokens when select() chose those; any that do not are put before them.
  const auto num_sinks = static_cast<std::size_t>(sinks);
  const bool has_sinks = num_sinks == 0 || (positions.size() >= num_sinks && positions[num_sinks - 1] == sinks - 1);
  const std::int32_t before = last - window + 1;  // no row has keys from here on outside its window
  if (!has_sinks) {
    plan.add_range(head, 0, std::min(sinks, before), before_window);
    positions = {std::lower_bound(positions.begin(), positions.end(), sinks), positions.end()};
  }
  positions = {positions.begin(), std::lower_bound(positions.begin(), positions.end(), before)};
  plan.add_positions(head, positions, before_window);
  plan.add_range(head, std::max(0, first - window + 1), last + 1, {.reach = window, .lag = 0});
}

}  // namespace tca::cpu
