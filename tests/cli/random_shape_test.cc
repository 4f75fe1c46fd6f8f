#include "cli/random_shape.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tca/error.h"

namespace tca::cli {
namespace {

ModelFingerprint fingerprint(const runtime::ModelConfig& config) {
  ModelFingerprint model;
  model.architecture = config.architecture;
  model.num_layers = config.num_layers;
  model.num_heads = config.num_heads;
  model.num_kv_heads = config.num_kv_heads;
  model.head_dim = config.head_dim;
  return model;
}

// Two layers of two heads: window, full; window, full.
Profile small_profile() {
  Profile profile;
  profile.model.num_layers = 2;
  profile.model.num_kv_heads = 2;
  const HeadProfile window = {.keep = BlockShares::window(64)}, full = {.keep = BlockShares::full(64)};
  profile.budgets.push_back({.objective = "tail-risk", .budget = 0.5, .kept_share = 0.5, .rule = {}, .layers = {}});
  profile.budgets[0].layers = {{window, full}, {window, full}};
  return profile;
}

TEST(RandomShape, HeadsInsideOneOfTheSourceTakeItsShares) {
  const Profile source = small_profile();
  const ModelFingerprint model = fingerprint(random_shape("llama-3.1-8b", 0));
  const Profile spread = spread_profile(source, model);
  EXPECT_NO_THROW(spread.validate(model));
  ASSERT_EQ(spread.budgets[0].layers.size(), 32U);
  for (const auto& layer : spread.budgets[0].layers) {
    ASSERT_EQ(layer.size(), 8U);
    for (std::size_t h = 0; h < 8; ++h) {
      EXPECT_EQ(layer[h].keep, h < 4 ? BlockShares::window(64) : BlockShares::full(64));
    }
  }
}

TEST(RandomShape, EveryShapeKeepsTheMeanOfEveryBudget) {
  Profile source = small_profile();
  source.model.num_layers = 3;  // divides neither 28 nor 32
  source.budgets[0].layers.push_back(source.budgets[0].layers[0]);
  source.budgets[0].layers[2][0].keep = BlockShares::full(64);
  source.budgets[0].layers[2][1].attend = BlockShares::full(64);
  for (const std::string& name : random_shape_names()) {
    const Profile spread = spread_profile(source, fingerprint(random_shape(name, 0)));
    EXPECT_NEAR(spread.budgets[0].kept_share, 4.0 / 6, 1e-12) << name;
    for (const auto& layer : spread.budgets[0].layers) {
      for (const HeadProfile& head : layer) {
        EXPECT_NEAR(std::accumulate(head.keep.share.begin(), head.keep.share.end(), 0.0), 1, 1e-12);
        EXPECT_NEAR(std::accumulate(head.attended().share.begin(), head.attended().share.end(), 0.0), 1, 1e-12);
      }
    }
  }
}

TEST(RandomShape, PositionsAndNames) {
  EXPECT_EQ(random_shape("qwen2.5-7b", 66).max_position, 131072 + 66);
  EXPECT_TRUE(random_shape("qwen2.5-7b", 0).layers[0].q.bias);
  EXPECT_THROW(random_shape("gpt-2", 0), Error);
}

}  // namespace
}  // namespace tca::cli
