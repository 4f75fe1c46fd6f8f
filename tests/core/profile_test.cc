#include "tca/profile.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/expect_error.h"
#include "core/file.h"
#include "core/profile_json.h"
#include "core/temporary_folder.h"

namespace tca {
namespace {

using nlohmann::json;
using testing::expect_error;

// Two layers of two KV heads, block size 8: shares of 0, 1, 2, 4 and 8 tokens kept.
HeadProfile head(std::vector<double> keep) {
  HeadProfile profile;
  profile.keep.share = std::move(keep);
  profile.risk = 0.03;
  profile.mean_dropped = 0.01;
  return profile;
}

ProfileBudget budget_of(const std::string& objective, double budget, const std::vector<double>& first_head) {
  const HeadProfile first = head(first_head);
  HeadProfile window = head({1, 0, 0, 0, 0});
  window.attend = BlockShares{{0.5, 0.5, 0, 0, 0}};
  return {objective, budget, first.keep.kept_share() / 2, std::nullopt, {{first, window}, {window, first}}};
}

Profile example() {
  Profile profile;
  profile.model = {"Qwen3ForCausalLM", 2, 8, 2, 64, "default theta=10000", 32000, std::string(64, 'a')};
  profile.rule = {.block_size = 8, .window = 32, .sinks = 2, .probe_queries = 4, .pool_width = 3};
  profile.budgets = {budget_of("paper", 0.2, {0, 0, 0, 1, 0}), budget_of("tail-risk", 0.1, {0, 0.5, 0.5, 0, 0}),
                     budget_of("tail-risk", 0.2, {0.5, 0, 0, 0.5, 0}), budget_of("tail-risk", 0.5, {0, 0, 0, 0, 1})};
  profile.budgets[0].rule = profile.rule;
  profile.budgets[0].rule->order = BlockOrder::kSimpson;
  profile.text_sha256 = std::string(64, 'b');
  profile.calibration_tokens = 49152;
  profile.seed = std::numeric_limits<std::uint64_t>::max();
  profile.version = "0.1.0";
  profile.date = "2026-01-31";
  return profile;
}

void expect_equal(const Profile& a, const Profile& b) {
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.rule, b.rule);
  EXPECT_EQ(a.text_sha256, b.text_sha256);
  EXPECT_EQ(a.calibration_tokens, b.calibration_tokens);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.date, b.date);
  ASSERT_EQ(a.default_keep.has_value(), b.default_keep.has_value());
  if (a.default_keep) {
    EXPECT_EQ(a.default_keep->objective, b.default_keep->objective);
    EXPECT_EQ(a.default_keep->keep, b.default_keep->keep);
    EXPECT_EQ(a.default_keep->measured_on, b.default_keep->measured_on);
  }
  ASSERT_EQ(a.budgets.size(), b.budgets.size());
  for (std::size_t i = 0; i < a.budgets.size(); ++i) {
    EXPECT_EQ(a.budgets[i].objective, b.budgets[i].objective);
    EXPECT_EQ(a.budgets[i].budget, b.budgets[i].budget);
    EXPECT_EQ(a.budgets[i].kept_share, b.budgets[i].kept_share);
    EXPECT_EQ(a.budgets[i].rule, b.budgets[i].rule);
    ASSERT_EQ(a.budgets[i].layers.size(), b.budgets[i].layers.size());
    for (std::size_t l = 0; l < a.budgets[i].layers.size(); ++l) {
      ASSERT_EQ(a.budgets[i].layers[l].size(), b.budgets[i].layers[l].size());
      for (std::size_t h = 0; h < a.budgets[i].layers[l].size(); ++h) {
        const HeadProfile& x = a.budgets[i].layers[l][h];
        const HeadProfile& y = b.budgets[i].layers[l][h];
        EXPECT_EQ(x.keep, y.keep);
        EXPECT_EQ(x.attend, y.attend);
        EXPECT_EQ(x.risk, y.risk);
        EXPECT_EQ(x.mean_dropped, y.mean_dropped);
      }
    }
  }
}

TEST(BlockShares, KeptShareByHand) {
  EXPECT_EQ(BlockShares::full(64).kept_share(), 1.0);
  EXPECT_EQ(BlockShares::full(64).share.size(), 8u);
  EXPECT_TRUE(BlockShares::full(64).is_full());
  EXPECT_EQ(BlockShares::window(8).kept_share(), 0.0);
  EXPECT_EQ(BlockShares::window(8).share.size(), 5u);
  EXPECT_TRUE(BlockShares::window(8).is_window());
  // A quarter of the blocks keeps 1 of 8, a quarter 4 of 8: (1 + 4) / 4 / 8.
  EXPECT_EQ((BlockShares{{0.5, 0.25, 0, 0.25, 0}}.kept_share()), 0.15625);
  EXPECT_EQ(BlockShares{}.kept_share(), 0.0);
  for (const int bad : {0, 4, 12, 512, -8}) {
    expect_error(ErrorCategory::kInvalidArgument, text("block_size is ", bad), [&] { BlockShares::full(bad); });
  }
}

TEST(Profile, SavedIsLoaded) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("profile.json");
  example().save(path);
  EXPECT_EQ(folder.num_entries(), 1u);
  const Profile loaded = Profile::load(path);
  expect_equal(loaded, example());
  EXPECT_EQ(loaded.to_json(), read_file(path, 1 << 20));
}

TEST(Profile, ADefaultIsOfOneObjective) {
  Profile profile = example();
  EXPECT_EQ(profile.usual_keep(), kUnmeasuredKeep);
  profile.default_keep = {"tail-risk", 0.2, "ten questions about a letter"};
  expect_equal(Profile::parse(profile.to_json(), "p"), profile);
  EXPECT_EQ(profile.usual_keep(), 0.2);
  EXPECT_EQ(profile.usual_keep("paper"), kUnmeasuredKeep);
}

TEST(Profile, ADefaultThatNoBudgetHoldsIsRefused) {
  Profile profile = example();
  profile.default_keep = {"paper", 0.2, "ten questions"};  // its budget keeps 0.25
  expect_error(ErrorCategory::kBadFile, "default.keep is 0.2", [&] { Profile::parse(profile.to_json(), "p"); });
  profile.default_keep = {"tail-risk", 0.2, "two\nlines"};
  expect_error(ErrorCategory::kBadFile, "default.measured_on", [&] { Profile::parse(profile.to_json(), "p"); });
}

TEST(Profile, TheFormatBeforeHasNoDefault) {
  json document = json::parse(example().to_json());
  EXPECT_EQ(document["format"], "tca-profile/2");
  document["format"] = "tca-profile/1";
  expect_equal(Profile::parse(document.dump(), "p"), example());
  document["default"] = {{"objective", "tail-risk"}, {"keep", 0.5}, {"measured_on", "nothing"}};
  expect_error(ErrorCategory::kBadFile, "default", [&] { Profile::parse(document.dump(), "p"); });
}

TEST(Profile, EveryOrderHasItsName) {
  Profile profile = example();
  for (const auto& [order, name] : {std::pair{BlockOrder::kMassDispersion, "\"mass_dispersion\""},
                                    {BlockOrder::kSimpson, "\"simpson\""},
                                    {BlockOrder::kTokens, "\"tokens\""}}) {
    profile.rule.order = order;
    EXPECT_NE(profile.to_json().find(name), std::string::npos) << name;
    EXPECT_EQ(Profile::parse(profile.to_json(), "p").rule.order, order) << name;
  }
}

TEST(Profile, SharesSurviveTheDecimalForm) {
  Profile profile = example();
  for (ProfileBudget& budget : profile.budgets) {
    for (auto& layer : budget.layers) layer[0].keep.share = {0.1, 0.2, 1.0 / 3, 1 - 0.1 - 0.2 - 1.0 / 3, 0};
    budget.kept_share = (budget.layers[0][0].keep.kept_share() + budget.layers[1][0].keep.kept_share() +
                         budget.layers[1][1].keep.kept_share()) /
                        4;
  }
  expect_equal(Profile::parse(profile.to_json(), "p"), profile);
}

TEST(Profile, TheDocumentedExampleIsRead) {
  const std::string page = read_file(std::string(TCA_SOURCE_DIR) + "/docs/profile.md", 1 << 20);
  const auto begin = page.find("```json\n") + 8;
  const Profile profile = Profile::parse(page.substr(begin, page.find("```", begin) - begin), "docs/profile.md");
  EXPECT_EQ(profile.budgets[0].layers[0][1].attended(), BlockShares::window(8));
  EXPECT_EQ(profile.budgets[0].layers[0][0].attended(), BlockShares::full(8));
}

TEST(Profile, WhatCouldNotBeLoadedIsNotSaved) {
  const testing::TemporaryFolder folder;
  Profile profile = example();
  profile.budgets[1].layers[0][0].risk = std::numeric_limits<double>::quiet_NaN();
  expect_error(ErrorCategory::kInvalidArgument, "budgets[1].layers[0][0].risk_p95",
               [&] { profile.save(folder.file("p.json")); });
  EXPECT_EQ(folder.num_entries(), 0u);
}

TEST(Profile, BelongsToOneModel) {
  const Profile profile = example();
  ModelFingerprint other = profile.model;
  EXPECT_NO_THROW(profile.validate(other));
  other.num_layers = 3;
  expect_error(ErrorCategory::kInvalidArgument, profile.model.describe(), [&] { profile.validate(other); });
  expect_error(ErrorCategory::kInvalidArgument, other.describe(), [&] { profile.validate(other); });
  other = profile.model;
  other.weights_sha256[63] = 'c';
  expect_error(ErrorCategory::kInvalidArgument, other.weights_sha256, [&] { profile.validate(other); });
}

TEST(Profile, PicksTheLargestBudgetNotAbove) {
  const Profile profile = example();
  // Kept shares of tail-risk: 1.5 / 8 / 2, 2 / 8 / 2, 1 / 2.
  EXPECT_EQ(profile.pick(1).budget, 0.5);
  EXPECT_EQ(profile.pick(0.5).budget, 0.5);
  EXPECT_EQ(profile.pick(0.49).budget, 0.2);
  EXPECT_EQ(profile.pick(0.125).budget, 0.2);
  EXPECT_EQ(profile.pick(0.12).budget, 0.1);
  EXPECT_EQ(profile.pick(0).budget, 0.1);
  EXPECT_EQ(profile.pick(0.9, "paper").objective, "paper");
  expect_error(ErrorCategory::kInvalidArgument, "no objective 'risk'; it has 'paper', 'tail-risk'",
               [&] { profile.pick(0.5, "risk"); });
  for (const double bad : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    expect_error(ErrorCategory::kInvalidArgument, "keep is", [&] { profile.pick(bad); });
  }
}

TEST(Profile, RicherClimbsToFull) {
  const Profile profile = example();
  BlockShares current = BlockShares::window(8);
  for (const double expected : {0.1875, 0.25, 1.0, 1.0}) {
    current = profile.richer(current, 0, 0);
    EXPECT_EQ(current.kept_share(), expected);
  }
  // All budgets know this head as window only.
  EXPECT_EQ(profile.richer(BlockShares::window(8), 0, 1), BlockShares::full(8));
  expect_error(ErrorCategory::kInvalidArgument, "layer is 2", [&] { profile.richer(current, 2, 0); });
  expect_error(ErrorCategory::kInvalidArgument, "kv_head is -1", [&] { profile.richer(current, 0, -1); });
  expect_error(ErrorCategory::kInvalidArgument, "'x'", [&] { profile.richer(current, 0, 0, "x"); });
}

TEST(Profile, ABudgetsOwnRuleHolds) {
  const Profile profile = example();
  EXPECT_EQ(profile.rule_of(profile.budgets[0]).order, BlockOrder::kSimpson);
  EXPECT_EQ(profile.rule_of(profile.budgets[1]).order, BlockOrder::kMassDispersion);
}

// One change to a good document, and what the message must name.
struct BadField {
  const char* pointer;  // JSON pointer
  json value;           // null removes the field
  const char* named;
};

const BadField kBadFields[] = {
    {"/format", "tca-profile/3", "format is \"tca-profile/3\"; expected \"tca-profile/2\" or \"tca-profile/1\""},
    {"/format", nullptr, "format is missing"},
    {"/extra", 1, "extra is 1; expected no such field"},
    {"/model", 1, "model is 1; expected an object"},
    {"/model/architecture", "a\nb", "model.architecture"},
    {"/model/architecture", "", "model.architecture"},
    {"/model/num_layers", 0, "model.num_layers is 0; expected an integer in [1, 4096]"},
    {"/model/num_layers", 3, "budgets[0].layers is an array of 2; expected one entry for each of the model's 3 layers"},
    {"/model/num_layers", 4097, "model.num_layers"},
    {"/model/num_layers", 2.0, "model.num_layers"},
    {"/model/num_heads", "8", "model.num_heads is \"8\""},
    {"/model/num_heads", 99999999999, "model.num_heads"},
    {"/model/num_kv_heads", 3, "model.num_kv_heads is 3; expected a divisor of num_heads = 8"},
    {"/model/num_kv_heads", 1, "budgets[0].layers[0] is an array of 2"},
    {"/model/head_dim", -64, "model.head_dim"},
    {"/model/rope", nullptr, "model.rope is missing"},
    {"/model/vocab_size", 0, "model.vocab_size"},
    {"/model/weights_sha256", "abc", "model.weights_sha256"},
    {"/model/weights_sha256", "", "model.weights_sha256"},
    {"/model/extra", 1, "model.extra"},
    {"/rule/block_size", 24, "rule.block_size is 24; expected a power of two"},
    {"/rule/block_size", 16, "budgets[0].rule.block_size is 8; expected the profile's: 16"},
    {"/rule/block_size", 512, "rule.block_size"},
    {"/rule/window", 0, "rule.window is 0"},
    {"/rule/window", 2147483648, "rule.window"},
    {"/rule/sinks", -1, "rule.sinks is -1"},
    {"/rule/probe_queries", 0, "rule.probe_queries"},
    {"/rule/pool_width", 4, "rule.pool_width is 4; expected an odd number"},
    {"/rule/pool_width", 2000000001, "rule.pool_width"},
    {"/rule/order", "random", "rule.order is \"random\""},
    {"/rule/oder", "simpson", "rule.oder"},
    {"/provenance/seed", -1, "provenance.seed is -1"},
    {"/provenance/calibration_tokens", -1, "provenance.calibration_tokens"},
    {"/provenance/text_sha256", "x", "provenance.text_sha256"},
    {"/provenance/date", "31.01.2026", "provenance.date is \"31.01.2026\"; expected YYYY-MM-DD"},
    {"/provenance/version", "\x1b[2J", "provenance.version"},
    {"/budgets", json::array(), "budgets is an array of 0"},
    {"/budgets", 1, "budgets is 1"},
    {"/budgets/1", 7, "budgets[1] is not an object"},
    {"/budgets/1/objective", "Tail Risk", "budgets[1].objective"},
    {"/budgets/1/objective", "a", "budgets[1].budget"},
    {"/budgets/1/budget", 0.2, "budgets[2].budget is 0.2; expected budgets in ascending order"},
    {"/budgets/1/budget", 1.5, "budgets[1].budget is 1.5"},
    {"/budgets/1/kept_share", 0.5, "budgets[1].kept_share is 0.5; expected the mean over layers and heads: 0.09375"},
    {"/budgets/1/rule", 3, "budgets[1].rule is 3"},
    {"/budgets/0/rule/window", -5, "budgets[0].rule.window is -5"},
    {"/budgets/1/layers", nullptr, "budgets[1].layers is missing"},
    {"/budgets/1/layers/0", 1, "budgets[1].layers[0] is 1"},
    {"/budgets/1/layers/0/1", 1, "budgets[1].layers[0][1] is not an object"},
    {"/budgets/1/layers/0/1/keep", nullptr, "budgets[1].layers[0][1].keep is missing"},
    {"/budgets/1/layers/0/1/keep", json::array({1, 0}), "budgets[1].layers[0][1].keep is an array of 2"},
    {"/budgets/1/layers/0/1/keep/0", 1.5, "budgets[1].layers[0][1].keep[0] is 1.5; expected a number in [0, 1]"},
    {"/budgets/1/layers/0/1/keep/0", -0.1, "keep[0] is -0.1"},
    {"/budgets/1/layers/0/1/keep/0", "1", "keep[0] is \"1\""},
    {"/budgets/1/layers/0/1/keep/1", 0.00001, "budgets[1].layers[0][1].keep sums to 1.00001; expected 1"},
    {"/budgets/1/layers/0/1/attend/1", 0.25, "budgets[1].layers[0][1].attend sums to 0.75"},
    {"/budgets/1/layers/0/1/attend", 1, "attend is 1; expected an array"},
    {"/budgets/1/layers/0/1/atend", 1, "atend"},
    {"/budgets/1/layers/0/1/risk_p95", 1.01, "budgets[1].layers[0][1].risk_p95 is 1.01"},
    {"/budgets/1/layers/0/1/mean_dropped", nullptr, "budgets[1].layers[0][1].mean_dropped is missing"},
    {"/budgets/1/layers/0/1/kept_share", 0.5, "budgets[1].layers[0][1].kept_share is 0.5; expected what keep says: 0"},
};

TEST(Profile, EveryBadFieldIsRefusedByName) {
  const json good = json::parse(example().to_json());
  EXPECT_NO_THROW(Profile::parse(good.dump(), "p.json"));
  for (const BadField& bad : kBadFields) {
    SCOPED_TRACE(bad.pointer);
    json document = good;
    const json::json_pointer pointer(bad.pointer);
    if (bad.value.is_null()) {
      document[pointer.parent_pointer()].erase(pointer.back());
    } else {
      document[pointer] = bad.value;
    }
    expect_error(ErrorCategory::kBadFile, bad.named, [&] { Profile::parse(document.dump(), "p.json"); });
    expect_error(ErrorCategory::kBadFile, "p.json: ", [&] { Profile::parse(document.dump(), "p.json"); });
  }
}

TEST(Profile, DuplicateKeysAreRefused) {
  std::string document = example().to_json();
  document.insert(document.find("\"keep\""), "\"keep\":[1,0,0,0,0],");
  expect_error(ErrorCategory::kBadFile, "\"keep\" occurs twice", [&] { Profile::parse(document, "p.json"); });
}

TEST(Profile, EveryTruncationIsRefused) {
  const std::string document = example().to_json();
  const std::size_t end = document.rfind('}');
  for (std::size_t length = 0; length <= end; ++length) {
    expect_error(ErrorCategory::kBadFile, "p.json", [&] { Profile::parse(document.substr(0, length), "p.json"); });
  }
}

// A changed byte gives an error or another good profile, which then is itself when written and read again.
TEST(Profile, AFlippedBitIsRefusedOrHarmless) {
  const std::string document = example().to_json();
  for (std::size_t i = 0; i < document.size(); ++i) {
    std::string changed = document;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    try {
      const Profile profile = Profile::parse(changed, "p.json");
      expect_equal(Profile::parse(profile.to_json(), "again"), profile);
    } catch (const Error& error) {
      ASSERT_EQ(error.category(), ErrorCategory::kBadFile) << error.what();
    }
  }
}

TEST(Profile, MissingFileIsAnIoError) {
  expect_error(ErrorCategory::kIo, "/nowhere/p.json", [] { Profile::load("/nowhere/p.json"); });
}

}  // namespace
}  // namespace tca
