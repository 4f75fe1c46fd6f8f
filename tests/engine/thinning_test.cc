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
  ThinningTest() : backend_(create_backend("cpu", pool_)), ring_(host_memory(), 1, 2, 1, kDim, DType::kF32) {
    std::vector<float> queries(2 * kDim);
    queries[0] = queries[kDim] = 1;
    const std::vector<float> lse = {0, 0};
    ring_.advance(2);
    ring_.put_queries(0, contiguous(static_cast<const void*>(queries.data()), DType::kF32, 2, 1, kDim));
    ring_.put_lse(0, lse.data(), 2);
  }

  void store(const std::vector<float>& importance) {
    std::vector<float> k(importance.size() * kDim);
    for (std::size_t j = 0; j < importance.size(); ++j) k[j * kDim] = importance[j];
    const auto view = contiguous(static_cast<const void*>(k.data()), DType::kF32, std::ssize(importance), 1, kDim);
    cache_.store(0, view, view);
  }

  std::vector<std::int32_t> thin(const BlockShares& shares, bool whole_tail = false) {
    const ThinParams params{.cache = &cache_,
                            .layer = 0,
                            .shares = std::span(&shares, 1),
                            .rule = small_rule(),
                            .probes = &ring_,
                            .whole_tail = whole_tail};
    thin_tails(*backend_, std::span(&params, 1));
    return held_positions(cache_)[0];
  }

  /// 0, 1, 2 (the sinks), then `middle`, then [from, to).
  static std::vector<std::int32_t> with_tail(std::vector<std::int32_t> head, std::int32_t from, std::int32_t to) {
    for (std::int32_t p = from; p < to; ++p) head.push_back(p);
    return head;
  }

  ThreadPool pool_{1};
  std::unique_ptr<Backend> backend_;
  ProbeRings ring_;
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

/// Queries [8, 2, 4] and denominators [8, 2] that count up, put into rings of three slots and two layers.
class ProbeRingsTest : public testing::Test {
 protected:
  ProbeRingsTest() : queries_(8 * 8), lse_(8 * 2) {
    std::iota(queries_.begin(), queries_.end(), 0.0f);
    std::iota(lse_.begin(), lse_.end(), 0.0f);
  }
  static ProbeRings rings() { return {host_memory(), 2, 3, 2, 4, DType::kF32}; }
  /// Layer 1 has ten more.
  void put(ProbeRings& rings, std::int64_t begin, std::int64_t count) const {
    rings.advance(count);
    for (std::int32_t layer = 0; layer < 2; ++layer) {
      std::vector<float> values(queries_.begin() + begin * 8, queries_.end());
      for (float& value : values) value += static_cast<float>(10 * layer);
      rings.put_queries(layer, contiguous(static_cast<const void*>(values.data()), DType::kF32, count, 2, 4));
      rings.put_lse(layer, lse_.data() + begin * 2, count);
    }
  }
  static float first_of(const ProbeRings& rings, std::int32_t layer, std::int64_t slot) {
    return *static_cast<const float*>(rings.queries(layer).row(slot, 0));
  }
  std::vector<float> queries_, lse_;
};

TEST_F(ProbeRingsTest, HoldTheLastQueries) {
  ProbeRings ring = rings();
  EXPECT_EQ(ring.queries(0).num_tokens, 0);
  put(ring, 0, 2);
  EXPECT_EQ(ring.place().size, 2);
  EXPECT_EQ(ring.queries(1).num_tokens, 2);
  put(ring, 2, 1);
  put(ring, 3, 1);  // over query 0
  EXPECT_EQ(ring.place().size, 3);
  EXPECT_EQ(ring.place().next_slot, 1);
  EXPECT_EQ(first_of(ring, 0, 0), 24);
  EXPECT_EQ(first_of(ring, 1, 0), 34);
  EXPECT_EQ(first_of(ring, 1, 1), 18);
  EXPECT_EQ(*static_cast<const float*>(ring.queries(0).row(1, 1)), 12);
  EXPECT_EQ(ring.lse(0)[0], 6);
  EXPECT_EQ(ring.lse(1)[5], 5);

  ProbeRings at_once = rings();
  put(at_once, 0, 5);
  EXPECT_EQ(at_once.place().size, 3);
  EXPECT_EQ(first_of(at_once, 0, 2), 32);
}

TEST_F(ProbeRingsTest, GoRoundTheEnd) {
  ProbeRings ring = rings();
  put(ring, 0, 2);
  put(ring, 2, 3);  // into slots 2, 0, 1
  EXPECT_EQ(first_of(ring, 0, 2), 16);
  EXPECT_EQ(first_of(ring, 0, 0), 24);
  EXPECT_EQ(first_of(ring, 0, 1), 32);
  EXPECT_EQ(ring.lse(1)[4], 4);
  EXPECT_EQ(ring.lse(1)[0], 6);
}

TEST_F(ProbeRingsTest, TheNewestLeaveAndTheOthersStay) {
  ProbeRings ring = rings();
  put(ring, 0, 2);
  EXPECT_EQ(ring.without_newest(5).place().size, 0);
  ProbeRings one = ring.without_newest(1);
  EXPECT_EQ(one.place().size, 1);
  EXPECT_EQ(first_of(one, 1, 0), first_of(ring, 1, 0));
  put(ring, 2, 2);  // tokens 1, 2, 3, of which 3 is where 0 was
  ProbeRings two = ring.without_newest(1);
  EXPECT_EQ(two.place().size, 2);
  put(two, 5, 1);
  ProbeRings expected = rings();
  put(expected, 1, 2);
  put(expected, 5, 1);
  for (const std::int32_t layer : {0, 1}) {
    for (std::int64_t slot = 0; slot < 3; ++slot) {
      EXPECT_EQ(first_of(two, layer, slot), first_of(expected, layer, slot)) << layer << ", " << slot;
      EXPECT_EQ(two.lse(layer)[static_cast<std::size_t>(2 * slot)],
                expected.lse(layer)[static_cast<std::size_t>(2 * slot)]);
    }
  }
}

TEST_F(ProbeRingsTest, ACopyAndADownloadHoldTheSame) {
  ProbeRings ring = rings();
  put(ring, 0, 2);
  const ProbeRings copy = ring.copy();
  put(ring, 2, 2);
  EXPECT_EQ(copy.place().size, 2);
  EXPECT_EQ(first_of(copy, 1, 0), 10);
  EXPECT_EQ(first_of(ring, 1, 0), 34);

  ProbeRings back = rings();
  back.upload(ring.download(), ring.place());
  for (std::int32_t layer = 0; layer < 2; ++layer) {
    for (std::int64_t slot = 0; slot < 3; ++slot) EXPECT_EQ(first_of(back, layer, slot), first_of(ring, layer, slot));
    EXPECT_TRUE(std::equal(back.lse(layer).begin(), back.lse(layer).end(), ring.lse(layer).begin()));
  }
  put(back, 4, 1);
  put(ring, 4, 1);
  EXPECT_EQ(first_of(back, 0, 1), first_of(ring, 0, 1));
}

}  // namespace
}  // namespace tca::runtime
