// Hand-worked cases of the KV cache; kv_cache_property_test.cc covers the rest.
#include "tca/kv_cache.h"

#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "core/expect_error.h"
#include "core/half.h"
#include "tca/attention.h"

namespace tca {
namespace {

using testing::expect_error;

constexpr std::int32_t kDim = 8;
constexpr KvShape kShape = {.num_layers = 1, .num_kv_heads = 2, .head_dim = kDim, .dtype = DType::kBF16};
constexpr std::size_t kPlenty = 1 << 24;

// Row of token t, head h: every element is 100 h + t, small enough to be exact in bf16.
class Segment {
 public:
  explicit Segment(std::int64_t n) : values_(static_cast<std::size_t>(n) * 2 * kDim) {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const std::size_t row = i / kDim;
      const std::size_t token = row / 2, head = row % 2;
      values_[i] = static_cast<float>(token + 100 * head);
    }
    view_ = contiguous(static_cast<const void*>(values_.data()), DType::kF32, n, 2, kDim);
  }
  const TensorView& view() const { return view_; }

 private:
  std::vector<float> values_;
  TensorView view_;
};

void store(KvCache& cache, std::int64_t n, const KeptSet* kept = nullptr, std::int32_t window = 0) {
  const Segment segment(n);
  cache.store(0, segment.view(), segment.view(), kept, window);
}

std::vector<std::int32_t> positions(const KvCache& cache, std::int32_t head) {
  std::vector<std::int32_t> all;
  for (std::int32_t p = 0; p < cache.num_pages(0, head); ++p) {
    const KvPageView page = cache.page(0, head, p);
    all.insert(all.end(), page.positions, page.positions + page.count);
  }
  return all;
}

std::vector<std::int32_t> range(std::int32_t begin, std::int32_t end) {
  std::vector<std::int32_t> all(static_cast<std::size_t>(end - begin));
  std::iota(all.begin(), all.end(), begin);
  return all;
}

TEST(KvPool, PageBytesByHand) {
  // Header line, K and V of 64 rows, 64 positions.
  EXPECT_EQ(KvPool::create(0, 64, DType::kBF16)->page_bytes(), 64u + 2 * 64 * 64 * 2 + 64 * 4);
  EXPECT_EQ(KvPool::create(0, 128, DType::kF32)->page_bytes(), 64u + 2 * 64 * 128 * 4 + 64 * 4);
}

TEST(KvPool, RefusesNonsense) {
  expect_error(ErrorCategory::kInvalidArgument, "head_dim is 0", [] { KvPool::create(1, 0, DType::kF32); });
  expect_error(ErrorCategory::kInvalidArgument, "head_dim is 65537", [] { KvPool::create(1, 65537, DType::kF32); });
  expect_error(ErrorCategory::kInvalidArgument, "dtype is 7", [] { KvPool::create(1, 8, static_cast<DType>(7)); });
}

TEST(KvCache, RefusesAShapeThatIsNotThePools) {
  const auto pool = KvPool::create(kPlenty, kDim, DType::kBF16);
  const auto refuse = [&](const char* named, KvShape shape) {
    expect_error(ErrorCategory::kInvalidArgument, named, [&] { KvCache(pool, shape); });
  };
  refuse("num_layers is 0", {0, 2, kDim, DType::kBF16});
  refuse("num_layers is 4097", {4097, 2, kDim, DType::kBF16});
  refuse("num_kv_heads is -1", {1, -1, kDim, DType::kBF16});
  refuse("head_dim is 9; the KV pool's is 8", {1, 2, 9, DType::kBF16});
  refuse("dtype is fp16; the KV pool's is bf16", {1, 2, kDim, DType::kF16});
  expect_error(ErrorCategory::kInvalidArgument, "null", [] { KvCache(nullptr, kShape); });
}

TEST(KvCache, DenseStoreHoldsEverythingInTheTail) {
  const auto pool = KvPool::create(kPlenty, kDim, DType::kBF16);
  KvCache cache(pool, kShape);
  store(cache, 70);
  EXPECT_EQ(cache.num_tokens(0), 70);
  EXPECT_EQ(positions(cache, 1), range(0, 70));
  EXPECT_EQ(cache.tail_begin(0, 1), 0);
  const KvPageView page = cache.page(0, 1, 1);
  EXPECT_EQ(page.count, 6);
  EXPECT_EQ(load_element(page.k, DType::kBF16, std::int64_t{2} * kDim), 166);
  EXPECT_EQ(load_element(page.v, DType::kBF16, std::int64_t{3} * kDim - 1), 166);
  EXPECT_EQ(pool->used_bytes(), 4 * pool->page_bytes());
}

TEST(KvCache, KeptStoreMergesChosenTokensWithTheWindow) {
  KvCache cache(KvPool::create(kPlenty, kDim, DType::kBF16), kShape);
  store(cache, 3);
  // Of 10 tokens head 0 chooses 1, 4, 8 (8 is in the window of 3), head 1 nothing.
  const KeptSet kept(10, {0, 3, 3}, {1, 4, 8});
  store(cache, 10, &kept, 3);
  EXPECT_EQ(positions(cache, 0), (std::vector<std::int32_t>{0, 1, 2, 4, 7, 10, 11, 12}));
  EXPECT_EQ(cache.tail_begin(0, 0), 5);
  EXPECT_EQ(positions(cache, 1), (std::vector<std::int32_t>{0, 1, 2, 10, 11, 12}));
  EXPECT_EQ(cache.tail_begin(0, 1), 3);
  EXPECT_EQ(cache.num_tokens(0), 13);
  EXPECT_EQ(cache.position(0, 0, 4), 7);
  EXPECT_EQ(load_element(cache.page(0, 0, 0).k, DType::kBF16, std::int64_t{4} * kDim), 4)
      << "row of the segment's token 4";
  // Decoded tokens join the tail.
  store(cache, 1);
  EXPECT_EQ(cache.tail_begin(0, 0), 5);
  EXPECT_EQ(cache.length(0, 0), 9);
}

TEST(KvCache, WindowEdges) {
  const KeptSet kept(5, {0, 1, 3}, {2, 0, 4});
  for (const std::int32_t window : {0, 5, 100}) {
    KvCache cache(KvPool::create(kPlenty, kDim, DType::kBF16), kShape);
    store(cache, 5, &kept, window);
    if (window == 0) {
      EXPECT_EQ(positions(cache, 1), (std::vector<std::int32_t>{0, 4}));
      EXPECT_EQ(cache.tail_begin(0, 1), 2);
    } else {
      EXPECT_EQ(positions(cache, 1), range(0, 5));
      EXPECT_EQ(cache.tail_begin(0, 1), 0);
    }
  }
}

TEST(KvCache, ThinKeepsNamedTokensAndFreesPages) {
  const auto pool = KvPool::create(kPlenty, kDim, DType::kBF16);
  KvCache cache(pool, kShape);
  store(cache, 140);
  EXPECT_EQ(cache.num_pages(0, 0), 3);
  const std::vector<std::int32_t> keep = {0, 5, 63};
  cache.thin(0, 0, 100, keep);
  std::vector<std::int32_t> expected = keep;
  for (std::int32_t t = 100; t < 140; ++t) expected.push_back(t);
  EXPECT_EQ(positions(cache, 0), expected);
  EXPECT_EQ(cache.tail_begin(0, 0), 3);
  EXPECT_EQ(cache.num_pages(0, 0), 1);
  EXPECT_EQ(positions(cache, 1), range(0, 140)) << "the other head is untouched";
  EXPECT_EQ(cache.num_tokens(0), 140);
  EXPECT_EQ(pool->used_bytes(), 4 * pool->page_bytes());
  cache.thin(0, 0, 40, {});
  EXPECT_EQ(positions(cache, 0), keep);
  EXPECT_EQ(cache.tail_begin(0, 0), 3);
}

TEST(KvCache, ThinRefusesWhatIsNotInTheTail) {
  KvCache cache(KvPool::create(kPlenty, kDim, DType::kBF16), kShape);
  store(cache, 10);
  using Offsets = std::vector<std::int32_t>;
  const auto refuse = [&](const char* named, std::int64_t count, const Offsets& keep) {
    expect_error(ErrorCategory::kInvalidArgument, named, [&] { cache.thin(0, 0, count, keep); });
  };
  refuse("count is 11; the tail has 10", 11, {});
  refuse("count is -1", -1, {});
  refuse("keep[0] is -1", 5, {-1});
  refuse("keep[0] is 5", 5, {5});
  refuse("keep[1] is 3", 5, {3, 3});
  EXPECT_EQ(positions(cache, 0), range(0, 10));
}

TEST(KvCache, ForksShareUntilOneWrites) {
  const auto pool = KvPool::create(kPlenty, kDim, DType::kBF16);
  KvCache cache(pool, kShape);
  store(cache, 70);
  KvCache fork = cache.fork();
  EXPECT_EQ(pool->used_bytes(), 4 * pool->page_bytes());
  EXPECT_EQ(fork.bytes_used(), 4 * pool->page_bytes());
  store(fork, 1);
  EXPECT_EQ(pool->used_bytes(), 6 * pool->page_bytes()) << "two last pages were copied";
  EXPECT_EQ(fork.page(0, 0, 0).k, cache.page(0, 0, 0).k);
  EXPECT_NE(fork.page(0, 0, 1).k, cache.page(0, 0, 1).k);
  EXPECT_EQ(cache.length(0, 0), 70);
  store(cache, 1);
  EXPECT_EQ(pool->used_bytes(), 6 * pool->page_bytes()) << "now the first owner writes to its own page";
  fork.clear();
  EXPECT_EQ(fork.length(0, 0), 0);
  EXPECT_EQ(fork.num_tokens(0), 0);
  EXPECT_EQ(pool->used_bytes(), 4 * pool->page_bytes());
}

TEST(KvCache, TruncateTakesTheNewestBack) {
  const auto pool = KvPool::create(kPlenty, kDim, DType::kBF16);
  KvCache cache(pool, kShape);
  store(cache, 150);
  KvCache fork = cache.fork();
  cache.truncate(70);
  EXPECT_EQ(cache.num_tokens(0), 70);
  EXPECT_EQ(positions(cache, 1), range(0, 70));
  EXPECT_EQ(cache.bytes_used(), 4 * pool->page_bytes());
  store(cache, 2);
  EXPECT_EQ(positions(cache, 0), range(0, 72));
  EXPECT_EQ(load_element(cache.page(0, 1, 1).k, DType::kBF16, std::int64_t{7} * kDim), 101) << "token 1 of the second";
  EXPECT_EQ(positions(fork, 1), range(0, 150));
  EXPECT_EQ(load_element(fork.page(0, 1, 1).k, DType::kBF16, std::int64_t{7} * kDim), 171) << "the fork has its page";
  fork.truncate(128);
  EXPECT_EQ(fork.num_pages(0, 0), 2);
  fork.truncate(128);
  fork.truncate(0);
  cache.truncate(0);
  EXPECT_EQ(cache.num_tokens(0), 0);
  EXPECT_EQ(pool->used_bytes(), 0u);
  store(cache, 1);
  EXPECT_EQ(positions(cache, 0), range(0, 1));
}

TEST(KvCache, TruncateRefusesWhatItCannotBringBack) {
  const auto pool = KvPool::create(kPlenty, kDim, DType::kBF16);
  KvCache cache(pool, kShape);
  const auto refuse = [&](const char* named, std::int64_t n) {
    expect_error(ErrorCategory::kInvalidArgument, named, [&] { cache.truncate(n); });
  };
  store(cache, 10);
  EXPECT_EQ(cache.truncation_limit(), 0);
  refuse("num_tokens is 11, but layer 0 has seen 10", 11);
  refuse("num_tokens is -1", -1);
  cache.thin(0, 1, 4, std::vector<std::int32_t>{0});
  store(cache, 5);
  EXPECT_EQ(cache.truncation_limit(), 10);
  refuse("num_tokens is 9, but at 10 tokens layer 0 dropped some, which do not come back; expected 0, or 10 to 15", 9);
  EXPECT_EQ(positions(cache, 1), (std::vector<std::int32_t>{0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}));
  EXPECT_EQ(cache.fork().truncation_limit(), 10);
  cache.truncate(10);
  EXPECT_EQ(positions(cache, 1), (std::vector<std::int32_t>{0, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(positions(cache, 0), range(0, 10));
  EXPECT_EQ(cache.tail_begin(0, 1), 1);
  // A segment of which some was chosen is there whole or not at all.
  const KeptSet kept(10, {0, 1, 1}, {2});
  store(cache, 10, &kept, 3);
  refuse("expected 0, or 20 to 20", 10);
  cache.truncate(0);
  EXPECT_EQ(cache.truncation_limit(), 0);
  EXPECT_EQ(cache.tail_begin(0, 0), 0);
  EXPECT_EQ(pool->used_bytes(), 0u);
}

TEST(KvCache, ClearGivesBackWhatWasReserved) {
  const auto pool = KvPool::create(kPlenty, kDim, DType::kBF16);
  KvCache cache(pool, kShape);
  store(cache, 10);
  cache.reserve(100);
  cache.clear();
  EXPECT_EQ(pool->used_bytes(), 0u);
}

TEST(KvCache, OverBudgetChangesNothing) {
  const std::size_t page_bytes = KvPool::create(0, kDim, DType::kBF16)->page_bytes();
  const auto pool = KvPool::create(3 * page_bytes, kDim, DType::kBF16);
  KvCache cache(pool, kShape);
  store(cache, 60);
  EXPECT_EQ(pool->free_pages(), 1);
  expect_error(ErrorCategory::kOutOfBudget, "2 pages", [&] { store(cache, 5); });
  EXPECT_EQ(cache.num_tokens(0), 60);
  EXPECT_EQ(positions(cache, 1), range(0, 60));
  store(cache, 4);
  EXPECT_EQ(cache.num_tokens(0), 64);
}

TEST(KvCache, StoreRefusesWhatDoesNotFitItsShape) {
  KvCache cache(KvPool::create(kPlenty, kDim, DType::kBF16), kShape);
  const Segment five(5), four(4);
  const auto refuse = [&](const char* named, const TensorView& k, const TensorView& v, const KeptSet* kept = nullptr,
                          std::int32_t window = 0) {
    expect_error(ErrorCategory::kInvalidArgument, named, [&] { cache.store(0, k, v, kept, window); });
  };
  refuse("k has 5 tokens and v 4", five.view(), four.view());
  TensorView bad = five.view();
  bad.num_heads = 3;
  refuse("k is [n, 3, 8]", bad, five.view());
  bad = five.view();
  bad.data = nullptr;
  refuse("v.data is null", five.view(), bad);
  bad = five.view();
  bad.dtype = static_cast<DType>(3);
  refuse("k.dtype is 3", bad, five.view());
  bad = five.view();
  bad.token_stride = 7;
  refuse("k.token_stride is 7", bad, five.view());
  bad = five.view();
  bad.head_stride = -8;
  refuse("k.head_stride is -8", bad, five.view());
  bad = five.view();
  bad.num_tokens = std::int64_t{1} << 31;
  refuse("positions end at 2^31 - 1", bad, bad);
  const auto refuse_kept = [&](const char* named, const KeptSet& kept, std::int32_t window) {
    refuse(named, five.view(), five.view(), &kept, window);
  };
  refuse_kept("window is -1", {5, {0, 0, 0}, {}}, -1);
  refuse_kept("kept.num_tokens is 4", {4, {0, 0, 0}, {}}, 1);
  refuse_kept("kept.offsets has 2 entries; 2 KV heads need 3", {5, {0, 0}, {}}, 1);
  refuse_kept("kept.offsets has 0 entries", {5, {}, {}}, 1);
  refuse_kept("kept.offsets[0] is 1", {5, {1, 1, 1}, {0}}, 1);
  refuse_kept("kept.offsets falls to 1", {5, {0, 2, 1}, {0}}, 1);
  refuse_kept("kept.offsets ends at 3; there are 2", {5, {0, 1, 3}, {0, 1}}, 1);
  refuse_kept("kept.positions of head 1 has 5 after -1", {5, {0, 1, 2}, {0, 5}}, 1);
  refuse_kept("kept.positions of head 0 has 2 after 2", {5, {0, 2, 2}, {2, 2}}, 1);
  refuse_kept("kept.positions of head 0 has -1", {5, {0, 1, 1}, {-1}}, 1);
  EXPECT_EQ(cache.num_tokens(0), 0);
  EXPECT_EQ(cache.bytes_used(), 0u);
}

TEST(KvCache, AccessorsRefuseWhatIsNotThere) {
  KvCache cache(KvPool::create(kPlenty, kDim, DType::kBF16), kShape);
  store(cache, 3);
  const auto refuse = [](const char* named, const auto& action) {
    expect_error(ErrorCategory::kInvalidArgument, named, action);
  };
  refuse("layer is 1", [&] { static_cast<void>(cache.num_tokens(1)); });
  refuse("layer is -1", [&] { static_cast<void>(cache.length(-1, 0)); });
  refuse("kv_head is 2", [&] { static_cast<void>(cache.num_pages(0, 2)); });
  refuse("page is 1", [&] { static_cast<void>(cache.page(0, 0, 1)); });
  refuse("page is -1", [&] { static_cast<void>(cache.page(0, 0, -1)); });
  refuse("slot is 3", [&] { static_cast<void>(cache.position(0, 0, 3)); });
  refuse("num_tokens is -1", [&] { static_cast<void>(cache.pages_needed(-1)); });
}

TEST(KvCache, StoringNothingChangesNothing) {
  KvCache cache(KvPool::create(kPlenty, kDim, DType::kBF16), kShape);
  store(cache, 3);
  store(cache, 0);
  EXPECT_EQ(cache.num_tokens(0), 3);
  EXPECT_EQ(cache.pages_needed(0), 0);
}

TEST(KvCache, ForksWorkInParallelThreads) {
  const auto pool = KvPool::create(kPlenty, kDim, DType::kBF16);
  KvCache cache(pool, kShape);
  store(cache, 100);
  constexpr int kForks = 4;
  std::vector<KvCache> forks;
  forks.reserve(kForks);
  for (int i = 0; i < kForks; ++i) forks.push_back(cache.fork());
  std::vector<std::thread> threads;
  threads.reserve(kForks);
  for (KvCache& fork : forks) {
    threads.emplace_back([&fork] {
      for (int i = 0; i < 200; ++i) {
        store(fork, 1);
        KvCache again = fork.fork();
        again.thin(0, 0, 4, std::vector<std::int32_t>{1, 3});
        if (i % 3 == 0) fork = std::move(again);
      }
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(positions(cache, 0), range(0, 100));
  for (const KvCache& fork : forks) {
    EXPECT_EQ(fork.num_tokens(0), 300);
    EXPECT_EQ(fork.length(0, 0), 300 - 2 * 67) << "each of 67 thinnings drops two";
    EXPECT_EQ(positions(fork, 1), range(0, 300));
  }
  forks.clear();
  cache.clear();
  EXPECT_EQ(pool->used_bytes(), 0u);
}

}  // namespace
}  // namespace tca
