#include "core/kv_model.h"

#include <algorithm>

#include "core/check.h"
#include "core/half.h"

namespace tca::testing {

Rows::Rows(std::mt19937& random, DType dtype, std::int64_t num_tokens, std::int32_t num_heads, std::int32_t head_dim) {
  const bool heads_first = random() % 2 == 0;
  const std::int64_t row = head_dim + random() % 3;
  view_ = {.dtype = dtype,
           .num_tokens = num_tokens,
           .num_heads = num_heads,
           .head_dim = head_dim,
           .token_stride = heads_first ? row : row * num_heads,
           .head_stride = heads_first ? row * num_tokens : row};
  memory_.resize(static_cast<std::size_t>(row * num_heads * num_tokens));
  for (std::size_t i = 0; i < memory_.size(); ++i) {
    const float value = static_cast<float>(random() % 20001) / 2500.0f - 4.0f;
    store_element(memory_.data(), dtype, static_cast<std::int64_t>(i), value);
  }
  view_.data = memory_.data();
}

std::string Rows::row(std::int64_t token, std::int32_t head, DType dtype) const {
  std::string bytes(static_cast<std::size_t>(view_.head_dim) * dtype_size(dtype), '\0');
  const void* const source = view_.row(token, head);
  for (std::int64_t i = 0; i < view_.head_dim; ++i) {
    store_element(bytes.data(), dtype, i, load_element(source, view_.dtype, i));
  }
  return bytes;
}

std::vector<std::int32_t> random_positions(std::mt19937& random, std::int64_t count, double chance) {
  std::vector<std::int32_t> positions;
  const auto limit = static_cast<std::uint32_t>(chance * 1000);
  for (std::int32_t i = 0; i < count; ++i) {
    if (random() % 1000 < limit) positions.push_back(i);
  }
  return positions;
}

KeptSet random_kept(std::mt19937& random, std::int64_t num_tokens, std::int32_t num_heads, double chance) {
  std::vector<std::int64_t> offsets = {0};
  std::vector<std::int32_t> all;
  for (std::int32_t h = 0; h < num_heads; ++h) {
    const auto positions = random_positions(random, num_tokens, chance);
    all.insert(all.end(), positions.begin(), positions.end());
    offsets.push_back(static_cast<std::int64_t>(all.size()));
  }
  return {num_tokens, std::move(offsets), std::move(all)};
}

KvModel::KvModel(const KvShape& shape)
    : shape_(shape),
      num_tokens_(static_cast<std::size_t>(shape.num_layers)),
      dropped_at_(num_tokens_.size()),
      lists_(num_tokens_.size() * static_cast<std::size_t>(shape.num_kv_heads)) {}

void KvModel::store(std::int32_t layer, const Rows& k, const Rows& v, const KeptSet* kept, std::int32_t window) {
  std::int64_t& seen = num_tokens_[static_cast<std::size_t>(layer)];
  const std::int64_t n = k.view().num_tokens;
  for (std::int32_t h = 0; h < shape_.num_kv_heads; ++h) {
    ModelList& list = lists_[index(layer, h)];
    bool in_window = false;
    for (std::int64_t t = 0; t < n; ++t) {
      if (kept != nullptr && t >= n - window && !in_window) {
        list.tail_begin = static_cast<std::int64_t>(list.tokens.size());
        in_window = true;
      }
      const bool chosen = kept == nullptr || std::ranges::count(kept->head(h), t) > 0;
      if (!chosen && !in_window) continue;
      list.tokens.push_back(
          {static_cast<std::int32_t>(seen + t), k.row(t, h, shape_.dtype), v.row(t, h, shape_.dtype)});
    }
    if (kept != nullptr && !in_window) list.tail_begin = static_cast<std::int64_t>(list.tokens.size());
  }
  seen += n;
  if (kept != nullptr) dropped_at_[static_cast<std::size_t>(layer)] = seen;
}

void KvModel::thin(std::int32_t layer, std::int32_t head, std::int64_t count, std::span<const std::int32_t> keep) {
  ModelList& list = lists_[index(layer, head)];
  std::vector<ModelToken> left(list.tokens.begin(), list.tokens.begin() + list.tail_begin);
  for (const std::int32_t offset : keep) {
    left.push_back(list.tokens[static_cast<std::size_t>(list.tail_begin + offset)]);
  }
  const auto tail_begin = static_cast<std::int64_t>(left.size());
  left.insert(left.end(), list.tokens.begin() + list.tail_begin + count, list.tokens.end());
  list = {std::move(left), tail_begin};
  const auto at = static_cast<std::size_t>(layer);
  if (count > 0) dropped_at_[at] = num_tokens_[at];
}

void KvModel::truncate(std::int64_t num_tokens) {
  for (ModelList& list : lists_) {
    std::erase_if(list.tokens, [&](const ModelToken& token) { return token.position >= num_tokens; });
    list.tail_begin = std::min(list.tail_begin, static_cast<std::int64_t>(list.tokens.size()));
  }
  for (std::int64_t& seen : num_tokens_) seen = num_tokens;
  for (std::int64_t& at : dropped_at_) at = std::min(at, num_tokens);
}

std::int64_t KvModel::truncation_limit() const { return std::ranges::max(dropped_at_); }

void KvModel::forget_when_dropped() {
  for (std::size_t i = 0; i < lists_.size(); ++i) {
    const std::size_t layer = i / static_cast<std::size_t>(shape_.num_kv_heads);
    const bool whole = std::ssize(lists_[i].tokens) == num_tokens_[layer] && lists_[i].tail_begin == 0;
    if (i % static_cast<std::size_t>(shape_.num_kv_heads) == 0) dropped_at_[layer] = 0;
    if (!whole) dropped_at_[layer] = num_tokens_[layer];
  }
}

std::optional<std::string> KvModel::list_difference(const KvCache& cache, std::int32_t layer, std::int32_t head) const {
  const ModelList& list = lists_[index(layer, head)];
  const auto length = static_cast<std::int64_t>(list.tokens.size());
  if (cache.length(layer, head) != length) return text("length ", cache.length(layer, head), ", not ", length);
  if (cache.tail_begin(layer, head) != list.tail_begin) {
    return text("tail begins at ", cache.tail_begin(layer, head), ", not ", list.tail_begin);
  }
  const std::int64_t num_pages = (length + kPageTokens - 1) / kPageTokens;
  if (cache.num_pages(layer, head) != num_pages) return text(cache.num_pages(layer, head), " pages, not ", num_pages);
  const std::size_t row_bytes = static_cast<std::size_t>(shape_.head_dim) * dtype_size(shape_.dtype);
  for (std::int64_t slot = 0; slot < length; ++slot) {
    const KvPageView page = cache.page(layer, head, static_cast<std::int32_t>(slot / kPageTokens));
    const auto i = static_cast<std::size_t>(slot % kPageTokens);
    if (static_cast<std::int64_t>(i) >= page.count) return text("slot ", slot, " lies beyond its page's count");
    const ModelToken held = {page.positions[i],
                             std::string(static_cast<const char*>(page.k) + i * row_bytes, row_bytes),
                             std::string(static_cast<const char*>(page.v) + i * row_bytes, row_bytes)};
    if (held != list.tokens[static_cast<std::size_t>(slot)]) return text("slot ", slot, " holds another token");
    if (cache.position(layer, head, slot) != held.position) return text("position() differs at slot ", slot);
  }
  return std::nullopt;
}

std::optional<std::string> KvModel::difference(const KvCache& cache) const {
  for (std::int32_t l = 0; l < shape_.num_layers; ++l) {
    const std::int64_t seen = num_tokens_[static_cast<std::size_t>(l)];
    if (cache.num_tokens(l) != seen) return text("layer ", l, " has seen ", cache.num_tokens(l), ", not ", seen);
    for (std::int32_t h = 0; h < shape_.num_kv_heads; ++h) {
      if (const auto found = list_difference(cache, l, h)) return text("layer ", l, ", head ", h, ": ", *found);
    }
  }
  return std::nullopt;
}

}  // namespace tca::testing
