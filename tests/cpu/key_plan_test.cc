// The keys a plan lists for a row are those it must see, each once.
#include "cpu/key_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace tca::cpu {
namespace {

constexpr std::int32_t kTokens = 400;

/// How often a row at position i meets each key of the segment, by the plan and its visibility rules.
std::vector<int> meetings(const KeyPlan& plan, std::int32_t i) {
  std::vector<int> count(kTokens, 0);
  KeyTile tile;
  for (std::int32_t t = 0; t < plan.num_tiles(); ++t) {
    plan.fill(t, tile);
    EXPECT_GE(tile.count, 1);
    EXPECT_LE(tile.count, kTileKeys);
    const KeySpan span = tile.seen_by_any(i, i);
    for (std::int32_t j = span.begin; j < span.end; ++j) {
      const std::int32_t p = tile.positions[static_cast<std::size_t>(j)];
      EXPECT_TRUE(p > i - tile.visibility.reach && p <= i - tile.visibility.lag);
      ++count[static_cast<std::size_t>(p)];
    }
    EXPECT_TRUE(span.begin >= span.end || tile.seen_by_all(span, i, i));
  }
  return count;
}

class KeyPlanTest : public testing::Test {
 protected:
  KeyPlanTest() : data_(kTokens), k_(contiguous(static_cast<const void*>(data_.data()), DType::kF32, kTokens, 1, 1)) {}

  KeyPlan plan(const KeptSet* kept, std::int32_t window, std::int32_t sinks, std::int32_t first, std::int32_t last) {
    KeyPlan result;
    add_segment({&k_, &k_, 0}, kept, window, sinks, first, last, result);
    return result;
  }

  std::vector<float> data_;
  TensorView k_;
};

TEST_F(KeyPlanTest, EveryVisibleKeyIsMetOnce) {
  std::mt19937 random(7);
  for (const double density : {0.0, 0.02, 0.3, 1.0}) {
    std::vector<std::int32_t> chosen_keys;
    std::bernoulli_distribution keep(density);
    for (std::int32_t j = 0; j < kTokens; ++j) {
      if (keep(random)) chosen_keys.push_back(j);
    }
    const KeptSet kept(kTokens, {0, static_cast<std::int64_t>(chosen_keys.size())}, chosen_keys);
    for (const std::int32_t window : {1, 2, 63, 64, 100, kTokens, 1 << 30}) {
      for (const std::int32_t sinks : {0, 1, 4, 64, 1 << 30}) {
        for (const std::int32_t first : {0, 1, 65, 250, kTokens - 1}) {
          const std::int32_t last = std::min(kTokens - 1, first + 97);
          const KeyPlan keys = plan(&kept, window, sinks, first, last);
          for (const std::int32_t i : {first, (first + last) / 2, last}) {
            const std::vector<int> met = meetings(keys, i);
            for (std::int32_t j = 0; j < kTokens; ++j) {
              const bool chosen = std::binary_search(chosen_keys.begin(), chosen_keys.end(), j);
              const bool visible = j <= i && (chosen || std::int64_t{j} > std::int64_t{i} - window || j < sinks);
              ASSERT_EQ(met[static_cast<std::size_t>(j)], visible ? 1 : 0)
                  << "density " << density << ", window " << window << ", sinks " << sinks << ", row " << i << ", key "
                  << j;
            }
          }
        }
      }
    }
  }
}

TEST_F(KeyPlanTest, DenseIsCausal) {
  const KeyPlan keys = plan(nullptr, 0, 0, 100, 200);
  EXPECT_EQ(keys.num_tiles(), 4);  // keys up to 200
  const std::vector<int> met = meetings(keys, 150);
  for (std::int32_t j = 0; j < kTokens; ++j) EXPECT_EQ(met[static_cast<std::size_t>(j)], j <= 150 ? 1 : 0);
}

TEST_F(KeyPlanTest, SlotsOfACacheFromAnywhere) {
  std::vector<float> values(300 * 16);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const TensorView k = contiguous(static_cast<const void*>(values.data()), DType::kF32, 300, 1, 16);
  KvCache cache(KvPool::create(1 << 20, 16, DType::kF32),
                {.num_layers = 1, .num_kv_heads = 1, .head_dim = 16, .dtype = DType::kF32});
  cache.store(0, k, k);
  for (const std::int64_t begin : {0, 1, 63, 64, 170}) {
    for (const std::int64_t end : {begin, begin + 1, begin + 64, begin + 65, std::int64_t{300}}) {
      KeyPlan plan;
      plan.add_slots(cache, 0, 0, begin, end, true);
      ASSERT_EQ(plan.num_tiles(), (end - begin + kTileKeys - 1) / kTileKeys);
      KeyTile tile;
      std::int64_t slot = begin;
      for (std::int32_t t = 0; t < plan.num_tiles(); ++t) {
        plan.fill(t, tile);
        for (std::int32_t j = 0; j < tile.count; ++j, ++slot) {
          const auto at = static_cast<std::size_t>(j);
          ASSERT_EQ(tile.positions[at], slot);
          ASSERT_EQ(*static_cast<const float*>(tile.k[at]), static_cast<float>(16 * slot));
          ASSERT_EQ(*static_cast<const float*>(tile.v[at]), static_cast<float>(16 * slot));
        }
      }
      EXPECT_EQ(slot, end);
    }
  }
}

}  // namespace
}  // namespace tca::cpu
