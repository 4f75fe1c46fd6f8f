// Reads tokens through a Forward alone, on either device: dense attention of the device's backend over a cache of its
// own.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "core/memory.h"
#include "runtime/cuda/cuda_model.h"
#include "runtime/model/forward.h"
#include "tca/backend.h"

namespace tca::test {

/// Dense attention over the cache and the segment, which is stored then. Keeps the last layer's last query.
class DenseAttention final : public runtime::LayerAttention {
 public:
  DenseAttention(const Backend& backend, KvCache& cache, Memory& memory)
      : backend_(backend), cache_(cache), memory_(memory) {}

  void attend(std::int32_t layer, const MutableTensorView& q, const TensorView& k, const TensorView& v) override {
    last_query.resize(static_cast<std::size_t>(q.num_heads) * static_cast<std::size_t>(q.head_dim) *
                      dtype_size(q.dtype));
    memory_.copy(last_query.data(), q.row(q.num_tokens - 1, 0), last_query.size());
    const PrefillParams params = {
        .q = contiguous(static_cast<const void*>(q.data), q.dtype, q.num_tokens, q.num_heads, q.head_dim),
        .k = k,
        .v = v,
        .out = q,
        .past = {.cache = &cache_, .layer = layer}};
    backend_.prefill_attention(std::span(&params, 1));
    cache_.store(layer, k, v);
  }
  void advanced(std::int64_t rows) override { advanced_rows += rows; }

  std::vector<std::byte> last_query;  // [Hq, d]
  std::int64_t advanced_rows = 0;

 private:
  const Backend& backend_;
  KvCache& cache_;
  Memory& memory_;
};

class Reader {
 public:
  static constexpr std::size_t kBudget = std::size_t{64} << 20;

  Reader(std::shared_ptr<const runtime::Model> model, const Backend& backend, ThreadPool& threads,
         std::int64_t chunk_tokens = 8192, std::shared_ptr<KvPool> kv_pool = nullptr)
      : model_(std::move(model)),
        pool_(kv_pool != nullptr ? std::move(kv_pool) : make_pool(*model_, backend)),
        cache(pool_, {.num_layers = model_->config().num_layers,
                      .num_kv_heads = model_->config().num_kv_heads,
                      .head_dim = model_->config().head_dim,
                      .dtype = pool_->dtype()}),
        attention(backend, cache, model_->device_memory()),
        forward(runtime::create_forward(*model_, threads, chunk_tokens)) {}

  static std::shared_ptr<KvPool> make_pool(const runtime::Model& model, const Backend& backend) {
    const DType dtype = model.precision().kv;
    return backend.create_kv_pool(kBudget, model.config().head_dim, dtype);
  }

  /// Logits [num_hidden, vocab] of the last tokens; num_hidden 0: of all.
  std::vector<float> read(std::span<const std::int32_t> ids, std::int64_t num_hidden = 0) {
    const std::int64_t rows = num_hidden > 0 ? num_hidden : std::ssize(ids);
    forward->run({.ids = ids, .first_position = cache.num_tokens(0), .num_hidden = rows}, attention);
    std::vector<float> logits(static_cast<std::size_t>(rows * model_->config().vocab_size));
    forward->logits(0, rows, logits);
    return logits;
  }

  runtime::DecodeRow row(std::int32_t id) {
    cache.reserve(1);
    return {.id = id, .position = cache.num_tokens(0), .cache = &cache};
  }
  std::vector<float> decode(std::span<const runtime::DecodeRow> rows) {
    std::vector<float> logits(rows.size() * static_cast<std::size_t>(model_->config().vocab_size));
    forward->decode(rows, logits);
    return logits;
  }
  std::vector<float> decode(std::int32_t id) {
    const runtime::DecodeRow one = row(id);
    return decode(std::span(&one, 1));
  }
  const std::shared_ptr<KvPool>& kv_pool() const { return pool_; }

 private:
  std::shared_ptr<const runtime::Model> model_;
  std::shared_ptr<KvPool> pool_;

 public:
  KvCache cache;
  DenseAttention attention;
  std::unique_ptr<runtime::Forward> forward;
};

inline std::vector<std::int32_t> random_ids(std::int64_t n, std::int32_t vocab, std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(vocab));
  return ids;
}

/// |a - b| / |b|; infinite when the sizes differ or a value is none.
inline double relative_difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    size += static_cast<double>(b[i]) * b[i];
  }
  const double relative = std::sqrt(difference / size);
  return std::isfinite(relative) ? relative : INFINITY;
}

}  // namespace tca::test
