#include "runtime/engine/window_layers.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace tca::runtime {
namespace {

/// Held tokens beyond the newest `most` go.
void trim(KvCache& cache, std::int32_t layer, std::int64_t most) {
  for (std::int32_t head = 0; head < cache.shape().num_kv_heads; ++head) {
    const std::int64_t held = cache.length(layer, head);
    if (held > most) cache.thin(layer, head, held - most, {});
  }
}

/// What the cache holds of a layer, and a segment behind it, as one segment: [P + L, Hk, d].
class Joined {
 public:
  Joined(const KvCache& cache, std::int32_t layer, const TensorView& k, const TensorView& v)
      : past_(cache.length(layer, 0)), heads_(k.num_heads), head_dim_(k.head_dim), dtype_(k.dtype) {
    const std::size_t bytes = static_cast<std::size_t>(past_ + k.num_tokens) * row_bytes() * heads();
    k_.resize(bytes);
    v_.resize(bytes);
    for (std::int32_t head = 0; head < heads_; ++head) {
      for (std::int32_t i = 0; i < cache.num_pages(layer, head); ++i) {
        const KvPageView page = cache.page(layer, head, i);
        copy(page.k, page.count, row_bytes(), i * kPageTokens, head, k_);
        copy(page.v, page.count, row_bytes(), i * kPageTokens, head, v_);
      }
      const std::size_t stride = static_cast<std::size_t>(k.token_stride) * dtype_size(dtype_);
      copy(k.row(0, head), k.num_tokens, stride, past_, head, k_);
      copy(v.row(0, head), v.num_tokens, stride, past_, head, v_);
    }
    tokens_ = past_ + k.num_tokens;
  }
  TensorView k() const { return view(k_); }
  TensorView v() const { return view(v_); }

 private:
  std::size_t heads() const { return static_cast<std::size_t>(heads_); }
  std::size_t row_bytes() const { return static_cast<std::size_t>(head_dim_) * dtype_size(dtype_); }
  TensorView view(const std::vector<std::byte>& rows) const {
    return contiguous(static_cast<const void*>(rows.data()), dtype_, tokens_, heads_, head_dim_);
  }
  void copy(const void* from, std::int64_t count, std::size_t stride, std::int64_t first, std::int32_t head,
            std::vector<std::byte>& to) const {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::size_t row = static_cast<std::size_t>(first + i) * heads() + static_cast<std::size_t>(head);
      std::memcpy(to.data() + row * row_bytes(),
                  static_cast<const std::byte*>(from) + static_cast<std::size_t>(i) * stride, row_bytes());
    }
  }

  std::int64_t past_, tokens_ = 0;
  std::int32_t heads_, head_dim_;
  DType dtype_;
  std::vector<std::byte> k_, v_;
};

KeptSet nothing_kept(std::int64_t tokens, std::int32_t heads) {
  return KeptSet(tokens, std::vector<std::int64_t>(static_cast<std::size_t>(heads) + 1), {});
}

void attend_segment(const WindowRead& r, const TensorView& k, const TensorView& v) {
  const KeptSet kept = nothing_kept(k.num_tokens, k.num_heads);
  const PrefillParams params{.q = r.q,
                             .k = k,
                             .v = v,
                             .out = r.q,
                             .kept = &kept,
                             .window = static_cast<std::int32_t>(std::min(r.window, k.num_tokens)),
                             .sinks = 0,
                             .lse = r.lse,
                             .cancel = r.cancel};
  r.backend.prefill_attention(std::span(&params, 1));
}

}  // namespace

void attend_window(const WindowRead& r) {
  const std::int64_t tokens = r.k.num_tokens, most = r.window - 1;
  trim(r.cache, r.layer, most);
  if (tokens == 1) {
    r.cache.store(r.layer, r.k, r.v);
    const DecodeParams params{.q = r.q, .out = r.q, .cache = &r.cache, .layer = r.layer, .lse = r.lse};
    return r.backend.decode_attention(std::span(&params, 1));
  }
  if (r.cache.length(r.layer, 0) == 0) {
    attend_segment(r, r.k, r.v);
  } else {
    const Joined joined(r.cache, r.layer, r.k, r.v);
    attend_segment(r, joined.k(), joined.v());
  }
  if (tokens <= most) {
    r.cache.store(r.layer, r.k, r.v);
    return trim(r.cache, r.layer, most);
  }
  trim(r.cache, r.layer, 0);
  const KeptSet kept = nothing_kept(tokens, r.k.num_heads);
  r.cache.store(r.layer, r.k, r.v, &kept, static_cast<std::int32_t>(most));
}

void trim_windows(KvCache& cache, const ModelSpec& model) {
  for (std::int32_t layer = 0; layer < model.num_layers; ++layer) {
    const auto window = model.layers[static_cast<std::size_t>(layer)].window;
    if (window) trim(cache, layer, *window - 1);
  }
}

double window_pairs(std::int64_t past, std::int64_t n, std::int64_t window) {
  // Queries that see less than a window come first: query i sees past + i + 1 tokens.
  const std::int64_t few = std::clamp<std::int64_t>(window - past, 0, n);
  const auto growing =
      static_cast<double>(few) * static_cast<double>(past) + 0.5 * static_cast<double>(few * (few + 1));
  return growing + static_cast<double>(n - few) * static_cast<double>(window);
}

}  // namespace tca::runtime
