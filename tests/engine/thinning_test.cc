// Thinning on caches whose scores are known by construction, and the ring of probes.
#include "runtime/engine/thinning.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/engine_fixture.h"

namespace tca::runtime {
namespace {

using test::eighths;
using test::held_positions;
using test::small_rule;

constexpr std::int32_t kDim = 64;

/// One layer, one KV head. Token j's key is importance[j] times the first axis, which all queries point along: the
/// score of token j grows with importance[j].
class ThinningTest : public testing::Test {
 protected:
  ThinningTest() : backend_(create_backend("auto", pool_)), ring_(2, 1, kDim, DType::kF32) {
    std::vector<float> queries(2 * kDim);
    queries[0] = queries[kDim] = 1;
    ring_.push(contiguous(static_cast<const void*>(queries.data()), DType::kF32, 2, 1, kDim), std::vector<float>{0, 0});
  }

  void store(const std::vector<float>& importance) {
    std::vector<float> k(importance.size() * kDim);
    for (std::size_t j = 0; j < importance.size(); ++j) k[j * kDim] = importance[j];
    const auto view = contiguous(static_cast<const void*>(k.data()), DType::kF32, std::ssize(importance), 1, kDim);
    cache_.store(0, view, view);
  }

  std::vector<std::int32_t> thin(const BlockShares& shares, bool whole_tail = false) {
    thin_tails(*backend_, {.cache = &cache_,
                           .layer = 0,
                           .shares = std::span(&shares, 1),
                           .rule = small_rule(),
                           .probes = &ring_,
                           .whole_tail = whole_tail});
    return held_positions(cache_)[0];
  }

  /// 0, 1, 2 (the sinks), then `middle`, then [from, to).
  static std::vector<std::int32_t> with_tail(std::vector<std::int32_t> head, std::int32_t from, std::int32_t to) {
    for (std::int32_t p = from; p < to; ++p) head.push_back(p);
    return head;
  }

  ThreadPool pool_{1};
  std::unique_ptr<Backend> backend_;
  ProbeRing ring_;
  KvCache cache_{KvPool::create(std::size_t{16} << 20, kDim, DType::kF32),
                 {.num_layers = 1, .num_kv_heads = 1, .head_dim = kDim, .dtype = DType::kF32}};
};

// small_rule: window 24, blocks of 8, 3 sinks.

TEST_F(ThinningTest, NothingHappensUntilTheWindowIsABlockBehind) {
  store(std::vector<float>(31, 0));
  EXPECT_EQ(std::ssize(thin(eighths({{2, 8}}))), 31);
  EXPECT_EQ(cache_.tail_begin(0, 0), 0);
}

TEST_F(ThinningTest, TheBestOfTheOldestBlockStay) {
  std::vector<float> importance(32, 0);
  importance[5] = 3;
  importance[7] = 2;
  store(importance);
  EXPECT_EQ(thin(eighths({{2, 8}})), with_tail({0, 1, 2, 5, 7}, 8, 32));
  EXPECT_EQ(cache_.tail_begin(0, 0), 5);
  EXPECT_EQ(thin(eighths({{2, 8}})), with_tail({0, 1, 2, 5, 7}, 8, 32));  // once only
}

TEST_F(ThinningTest, TiesGoToTheLowerPositionAndSinksCountAmongTheBest) {
  store(std::vector<float>(40, 1));
  EXPECT_EQ(thin(eighths({{4, 8}})), with_tail({0, 1, 2, 3, 8, 9, 10, 11}, 16, 40));
}

TEST_F(ThinningTest, EveryBlockKeepsItsOwn) {
  std::vector<float> importance(8 * 10, 0);
  std::vector<std::int32_t> best = {0, 1, 2};
  for (std::size_t block = 0; block < 7; ++block) {
    importance[8 * block + block] = 1;  // place 0 of block 0, 1 of block 1, ...
    if (block > 0) best.push_back(static_cast<std::int32_t>(8 * block + block));
  }
  store(importance);
  EXPECT_EQ(thin(eighths({{1, 8}})), with_tail(best, 56, 80));
}

TEST_F(ThinningTest, ADistributionKeepsItsExpectedNumber) {
  // 3/8 * 8 + 5/8 * 2 = 4.25 of 8: 4.
  std::vector<float> importance(32);
  std::iota(importance.begin(), importance.end(), 0.0f);
  store(importance);
  EXPECT_EQ(thin(eighths({{8, 3}, {2, 5}})), with_tail({0, 1, 2, 4, 5, 6, 7}, 8, 32));
}

TEST_F(ThinningTest, WindowHeadsKeepSinksOnlyAndFullHeadsAll) {
  store(std::vector<float>(50, 0));
  KvCache other = cache_.fork();
  EXPECT_EQ(thin(BlockShares::window(8)), with_tail({0, 1, 2}, 24, 50));
  std::swap(cache_, other);
  EXPECT_EQ(thin(BlockShares::full(8)), with_tail({}, 0, 50));
  EXPECT_EQ(cache_.tail_begin(0, 0), 24);
}

TEST_F(ThinningTest, TheWholeTailMayBeGivenUp) {
  std::vector<float> importance(29, 0);
  importance[27] = 1;  // in the last block, of 5
  importance[25] = 2;
  store(importance);
  // 4 of 8, and 2.5, rounded to 3, of 5.
  EXPECT_EQ(thin(eighths({{4, 8}}), true),
            (std::vector<std::int32_t>{0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 27}));
  EXPECT_EQ(cache_.tail_begin(0, 0), 15);
}

TEST_F(ThinningTest, LaterBlocksKnowNoSinks) {
  store(std::vector<float>(32, 0));
  thin(BlockShares::window(8));
  store(std::vector<float>(8, 0));
  EXPECT_EQ(thin(BlockShares::window(8)), with_tail({0, 1, 2}, 16, 40));
}

TEST(ProbeRing, HoldsTheLastQueries) {
  ProbeRing ring(3, 2, 4, DType::kF32);
  std::vector<float> queries(5 * 8), lse(5 * 2);
  std::iota(queries.begin(), queries.end(), 0.0f);
  std::iota(lse.begin(), lse.end(), 0.0f);
  const auto push = [&](std::int64_t begin, std::int64_t count) {
    ring.push(contiguous(static_cast<const void*>(queries.data() + begin * 8), DType::kF32, count, 2, 4),
              std::span(lse).subspan(static_cast<std::size_t>(begin * 2), static_cast<std::size_t>(count * 2)));
  };
  EXPECT_EQ(ring.size(), 0);
  push(0, 2);
  EXPECT_EQ(ring.size(), 2);
  EXPECT_EQ(ring.queries().num_tokens, 2);
  push(2, 1);
  push(3, 1);  // over query 0
  EXPECT_EQ(ring.size(), 3);
  EXPECT_EQ(*static_cast<const float*>(ring.queries().row(0, 0)), 24);
  EXPECT_EQ(*static_cast<const float*>(ring.queries().row(1, 1)), 12);
  EXPECT_EQ(ring.lse()[0], 6);
  EXPECT_EQ(ring.lse()[5], 5);

  ProbeRing at_once(3, 2, 4, DType::kF32);
  at_once.push(contiguous(static_cast<const void*>(queries.data()), DType::kF32, 5, 2, 4), lse);
  EXPECT_EQ(at_once.size(), 3);
  EXPECT_EQ(*static_cast<const float*>(at_once.queries().row(2, 0)), 32);
}

}  // namespace
}  // namespace tca::runtime
