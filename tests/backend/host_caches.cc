#include "backend/host_caches.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <map>

#include "backend/problem.h"

namespace tca::backend_test {
namespace {

constexpr std::size_t kPoolBytes = std::size_t{256} << 20;

class WithHostCaches final : public Backend {
 public:
  explicit WithHostCaches(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}

  std::string_view name() const override { return backend_->name(); }
  Capabilities capabilities() const override { return backend_->capabilities(); }
  std::shared_ptr<KvPool> create_kv_pool(std::size_t budget, std::int32_t head_dim, DType dtype) const override {
    return backend_->create_kv_pool(budget, head_dim, dtype);
  }
  void probe_scores(const ProbeParams& params, std::span<float> out) const override {
    Copies copies(*this);
    ProbeParams own = params;
    copies.replace(own.past.cache);
    backend_->probe_scores(own, out);
  }
  KeptSet select(const SelectParams& params) const override {
    Copies copies(*this);
    SelectParams own = params;
    copies.replace(own.past.cache);
    return backend_->select(own);
  }
  void prefill_attention(std::span<const PrefillParams> batch) const override {
    Copies copies(*this);
    std::vector<PrefillParams> own(batch.begin(), batch.end());
    for (PrefillParams& params : own) copies.replace(params.past.cache);
    backend_->prefill_attention(own);
  }
  void decode_attention(std::span<const DecodeParams> batch) const override {
    Copies copies(*this);
    std::vector<DecodeParams> own(batch.begin(), batch.end());
    for (DecodeParams& params : own) copies.replace(params.cache);
    backend_->decode_attention(own);
  }
  void tail_scores(std::span<const TailScoreParams> batch) const override {
    Copies copies(*this);
    std::vector<TailScoreParams> own(batch.begin(), batch.end());
    for (TailScoreParams& params : own) copies.replace(params.cache);
    backend_->tail_scores(own);
  }
  std::vector<HeadCertificate> certify(const CertifyParams& params, std::span<float> deltas) const override {
    Copies copies(*this);
    CertifyParams own = params;
    copies.replace(own.past.cache);
    return backend_->certify(own, deltas);
  }
  std::int64_t break_even_tokens(double kept_share, std::int32_t head_dim) const override {
    return backend_->break_even_tokens(kept_share, head_dim);
  }

 private:
  /// Of the caches of one call.
  class Copies {
   public:
    explicit Copies(const WithHostCaches& owner) : owner_(owner) {}
    /// Through a file, the one way between two pools.
    void replace(const KvCache*& cache) {
      if (cache == nullptr || cache->pool()->layout() != PageLayout::kRows) return;
      const std::string path = testing::TempDir() + "tca_cache_copy_" + std::to_string(::getpid());
      cache->save(path, "");
      copies_.push_back(KvCache::load(path, owner_.pool(cache->shape()), [](const KvShape&, const std::string&) {}));
      std::filesystem::remove(path);
      poison_unused_slots(copies_.back());
      cache = &copies_.back();
    }

   private:
    const WithHostCaches& owner_;
    std::deque<KvCache> copies_;
  };

  std::shared_ptr<KvPool> pool(const KvShape& shape) const {
    std::shared_ptr<KvPool>& pool = pools_[{shape.head_dim, shape.dtype}];
    if (pool == nullptr) pool = backend_->create_kv_pool(kPoolBytes, shape.head_dim, shape.dtype);
    return pool;
  }

  std::unique_ptr<Backend> backend_;
  mutable std::map<std::pair<std::int32_t, DType>, std::shared_ptr<KvPool>> pools_;
};

}  // namespace

std::unique_ptr<Backend> with_host_caches(std::unique_ptr<Backend> backend) {
  const Capabilities able = backend->capabilities();
  const std::int32_t head_dim = able.head_dims.empty() ? 64 : able.head_dims.front();
  const bool host =
      backend->create_kv_pool(std::size_t{1} << 20, head_dim, able.dtypes.front())->layout() == PageLayout::kRows;
  if (host) return backend;
  return std::make_unique<WithHostCaches>(std::move(backend));
}

}  // namespace tca::backend_test
