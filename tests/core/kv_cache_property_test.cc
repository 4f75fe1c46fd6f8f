// Long random sequences of operations on several caches of one pool, against the naive model.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "core/check.h"
#include "core/kv_model.h"
#include "core/temporary_folder.h"

namespace tca::testing {
namespace {

constexpr std::size_t kMaxCaches = 5;
constexpr std::int32_t kBudgetPages = 80;  // small enough to be hit several times in a sequence

class Player {
 public:
  Player(DType dtype, unsigned seed)
      : random_(seed),
        shape_{.num_layers = 2, .num_kv_heads = 3, .head_dim = 7, .dtype = dtype},
        pool_(KvPool::create(1, shape_.head_dim, dtype)) {
    pool_ = KvPool::create(kBudgetPages * pool_->page_bytes() + 5, shape_.head_dim, dtype);
    caches_.push_back({KvCache(pool_, shape_), KvModel(shape_)});
  }

  void play(int steps) {
    for (int step = 0; step < steps; ++step) {
      const std::string what = one_step();
      SCOPED_TRACE(text("step ", step, ": ", what));
      check_accounts();
      for (const Pair& pair : caches_) ASSERT_EQ(pair.model.difference(pair.cache), std::nullopt);
    }
    caches_.clear();
    EXPECT_EQ(pool_->used_bytes(), 0u);
    EXPECT_GT(truncations_, 0);
    EXPECT_GT(refusals_, 0) << "the budget was never hit: the test covers less than it says";
  }

 private:
  struct Pair {
    KvCache cache;
    KvModel model;
  };

  // Stays in [0, below).
  std::uint32_t pick(std::uint32_t below) { return random_() % below; }

  std::string one_step() {
    Pair& pair = caches_[pick(static_cast<std::uint32_t>(caches_.size()))];
    const std::uint32_t dice = pick(27);
    if (dice < 4) return store(pair, 1 + pick(150), false);
    if (dice < 8) return store(pair, 1 + pick(150), true);
    if (dice < 12) return store(pair, 1, false);
    if (dice < 14) return store_all_layers(pair);
    if (dice < 19) return thin(pair);
    if (dice < 21) return fork(pair);
    if (dice < 23) return drop(pair);
    if (dice < 26) return truncate(pair);
    return save_and_load(pair);
  }

  // Runs an operation that may be over budget: then nothing may have changed.
  template <class Action>
  bool within_budget(const Action& action) {
    const std::size_t before = pool_->used_bytes();
    try {
      action();
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kOutOfBudget) << error.what();
      EXPECT_EQ(pool_->used_bytes(), before);
      ++refusals_;
      return false;
    }
  }

  std::string store(Pair& pair, std::int64_t n, bool with_kept) {
    const auto layer = static_cast<std::int32_t>(pick(2));
    const Rows k(random_, random_dtype(), n, shape_.num_kv_heads, shape_.head_dim);
    const Rows v(random_, random_dtype(), n, shape_.num_kv_heads, shape_.head_dim);
    const KeptSet kept = random_kept(random_, n, shape_.num_kv_heads, pick(3) * 0.5);
    const auto window = static_cast<std::int32_t>(pick(3) * 40);
    const KeptSet* const used = with_kept ? &kept : nullptr;
    const bool fits = within_budget([&] { pair.cache.store(layer, k.view(), v.view(), used, window); });
    if (fits) pair.model.store(layer, k, v, used, window);
    return text("store ", n, " tokens", with_kept ? ", kept" : "", fits ? "" : ", over budget");
  }

  std::string store_all_layers(Pair& pair) {
    const std::int64_t n = 1 + pick(100);
    const auto needed = static_cast<std::size_t>(pair.cache.pages_needed(n));
    const std::size_t before = pool_->used_bytes();
    if (static_cast<std::int64_t>(needed) > pool_->free_pages()) return "store in all layers: skipped";
    for (std::int32_t layer = 0; layer < shape_.num_layers; ++layer) {
      const Rows rows(random_, random_dtype(), n, shape_.num_kv_heads, shape_.head_dim);
      pair.cache.store(layer, rows.view(), rows.view());
      pair.model.store(layer, rows, rows, nullptr, 0);
    }
    EXPECT_EQ(pool_->used_bytes() - before, needed * pool_->page_bytes()) << "pages_needed(" << n << ")";
    return text("store ", n, " tokens in all layers");
  }

  std::string thin(Pair& pair) {
    const auto layer = static_cast<std::int32_t>(pick(2));
    const auto head = static_cast<std::int32_t>(pick(3));
    const std::int64_t tail = pair.cache.length(layer, head) - pair.cache.tail_begin(layer, head);
    const std::int64_t count = pick(static_cast<std::uint32_t>(tail) + 1);
    const auto keep = random_positions(random_, count, pick(5) * 0.25);
    const bool fits = within_budget([&] { pair.cache.thin(layer, head, count, keep); });
    if (fits) pair.model.thin(layer, head, count, keep);
    return text("thin ", count, " tokens to ", keep.size(), fits ? "" : ", over budget");
  }

  std::string fork(Pair& pair) {
    if (caches_.size() == kMaxCaches) return "fork: skipped";
    const std::size_t before = pool_->used_bytes();
    caches_.push_back({pair.cache.fork(), KvModel(pair.model)});
    EXPECT_EQ(pool_->used_bytes(), before) << "a fork takes no pages";
    return "fork";
  }

  std::string drop(Pair& pair) {
    if (caches_.size() > 1) {
      std::swap(pair, caches_.back());
      caches_.pop_back();
      return "drop";
    }
    pair.cache.clear();
    pair.model = KvModel(shape_);
    return "clear";
  }

  // Near the end, anywhere, or nothing left.
  std::string truncate(Pair& pair) {
    const auto seen = static_cast<std::uint32_t>(std::min(pair.cache.num_tokens(0), pair.cache.num_tokens(1)));
    const std::uint32_t kind = pick(8);
    const std::int64_t n = kind == 0 ? 0 : kind < 4 ? pick(seen + 1) : seen - std::min(seen, pick(70));
    EXPECT_EQ(pair.cache.truncation_limit(), pair.model.truncation_limit());
    if (n != 0 && n < pair.model.truncation_limit()) {
      EXPECT_THROW(pair.cache.truncate(n), Error);
      return text("truncate to ", n, ", refused");
    }
    pair.cache.truncate(n);
    pair.model.truncate(n);
    ++truncations_;
    return text("truncate to ", n);
  }

  std::string save_and_load(Pair& pair) {
    const std::string path = folder_.file("cache");
    const std::string metadata = text("metadata ", pick(1000));
    pair.cache.save(path, metadata);
    const bool fits = within_budget([&] {
      KvCache loaded = KvCache::load(path, pool_, [&](const KvShape& shape, const std::string& found) {
        EXPECT_EQ(shape, shape_);
        EXPECT_EQ(found, metadata);
      });
      pair.cache = std::move(loaded);
    });
    if (fits) pair.model.forget_when_dropped();
    EXPECT_EQ(folder_.num_entries(), 1u);
    return text("save and load", fits ? "" : ", over budget");
  }

  void check_accounts() {
    std::set<const void*> unique;
    for (const Pair& pair : caches_) {
      std::size_t pages = 0;
      for (std::int32_t l = 0; l < shape_.num_layers; ++l) {
        for (std::int32_t h = 0; h < shape_.num_kv_heads; ++h) {
          for (std::int32_t p = 0; p < pair.cache.num_pages(l, h); ++p, ++pages) {
            const KvPageView page = pair.cache.page(l, h, p);
            unique.insert(page.k);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(page.k) % 64, 0u);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(page.v) % 64, 0u);
          }
        }
      }
      EXPECT_EQ(pair.cache.bytes_used(), pages * pool_->page_bytes());
    }
    EXPECT_EQ(pool_->used_bytes(), unique.size() * pool_->page_bytes());
    EXPECT_EQ(pool_->free_pages(), kBudgetPages - static_cast<std::int64_t>(unique.size()));
  }

  DType random_dtype() { return static_cast<DType>(pick(3)); }

  std::mt19937 random_;
  KvShape shape_;
  std::shared_ptr<KvPool> pool_;
  TemporaryFolder folder_;
  std::vector<Pair> caches_;
  int refusals_ = 0, truncations_ = 0;
};

class KvCacheProperty : public ::testing::TestWithParam<DType> {};

TEST_P(KvCacheProperty, RandomOperationsMatchTheNaiveModel) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(text("seed ", seed));
    Player(GetParam(), seed).play(400);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, KvCacheProperty, ::testing::Values(DType::kF32, DType::kBF16, DType::kF16),
                         [](const auto& test) { return std::string(dtype_name(test.param)); });

}  // namespace
}  // namespace tca::testing
