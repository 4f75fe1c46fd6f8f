// Curves: how budgets are given from them, and their text form.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/expect_error.h"
#include "tca/profile.h"

namespace tca {
namespace {

using nlohmann::json;
using testing::expect_error;

constexpr SelectionRule kRule = {
    .block_size = 8, .window = 4, .sinks = 2, .probe_queries = 4, .pool_width = 1, .order = BlockOrder::kTokens};

/// Two layers of two KV heads; windows of 2 and 8; a quarter, a half and all of the rest.
RiskCurves example_curves() {
  const std::vector<double> flat(8, 0.0);                         // nothing is lost
  const std::vector<double> steep = {8, 2, 1, 0, 7, 2, 1, 0};     // a quarter is worth most
  const std::vector<double> window = {8, 8, 8, 0, 1, 1, 1, 0};    // the window is what counts
  const std::vector<double> lookup = {8, 7.5, 6, 0, 8, 7, 5, 0};  // only everything will do
  return {.windows = {2, 8}, .shares = {0, .25, .5, 1}, .heads = {{flat, steep}, {window, lookup}}};
}

Profile example() {
  Profile profile;
  profile.model = {"LlamaForCausalLM", 2, 4, 2, 2, "default theta=10000", 100, std::string(64, 'a')};
  profile.rule = kRule;
  profile.version = "0.1.0";
  AnswerRisk& answers = profile.answer_risk.emplace();
  answers.rule = kRule;
  answers.keep = example_curves();
  answers.bank = {.queries = 3, .distance = 20, .values = std::vector<float>(2 * 3 * 4 * 2)};
  for (std::size_t i = 0; i < answers.bank.values.size(); ++i) {
    answers.bank.values[i] = static_cast<float>(i) / 8 - 2;  // exact in bf16
  }
  answers.measured = {{0.1, 0.5, 40}, {0.2, 0.98, 40}, {0.4, 1, 40}};
  return profile;
}

TEST(Allocate, WhatLosesMostIsPaidFirst) {
  // 102 tokens: sinks 2; the window of 2 leaves 98, that of 8 leaves 92.
  const RiskCurves curves = example_curves();
  const SegmentAllocation least = allocate(curves, kRule, 0, 102);
  EXPECT_DOUBLE_EQ(least.held_share, 4.0 / 102);
  EXPECT_EQ(least.risk, 24);
  for (const auto& layer : least.shares) {
    for (const BlockShares& head : layer) EXPECT_TRUE(head.is_window());
  }
  // The window of 8 costs 6 tokens and takes 7 away; then a quarter of head 1, 24.5 tokens for 6.
  const SegmentAllocation window = allocate(curves, kRule, (4.0 * 4 + 6) / 102 / 4, 102);
  EXPECT_EQ(window.windows, (std::vector<std::vector<std::int32_t>>{{2, 2}, {8, 2}}));
  EXPECT_EQ(window.risk, 17);
  const SegmentAllocation quarter = allocate(curves, kRule, (4.0 * 4 + 6 + 24.5) / 102 / 4, 102);
  EXPECT_EQ(quarter.shares[0][1].kept_share(), .25);
  EXPECT_EQ(quarter.risk, 11);
  EXPECT_TRUE(quarter.shares[0][0].is_window());
  const SegmentAllocation all = allocate(curves, kRule, 1, 102);
  EXPECT_EQ(all.risk, 0);
  EXPECT_TRUE(all.shares[1][1].is_full());
  EXPECT_TRUE(all.shares[0][0].is_window()) << "more would buy nothing";
}

TEST(Allocate, ABudgetBetweenTwoStepsIsSpent) {
  const RiskCurves curves = example_curves();
  for (const double keep : {.05, .08, .13, .21, .34, .5}) {
    const SegmentAllocation allocation = allocate(curves, kRule, keep, 102);
    EXPECT_NEAR(allocation.held_share, keep, 1e-12);
  }
}

TEST(Allocate, MoreIsNeverWorse) {
  double before = 1e9;
  for (int percent = 0; percent <= 100; ++percent) {
    const double risk = allocate(example_curves(), kRule, percent / 100.0, 300).risk;
    EXPECT_LE(risk, before + 1e-12) << percent;
    before = risk;
  }
}

TEST(Allocate, GoesOnUntilTheRiskIsAtMostWhatIsAllowed) {
  const RiskCurves curves = example_curves();
  for (const double most : {24.0, 20.0, 17.0, 12.5, 11.0, 3.0, 0.5}) {
    const SegmentAllocation allocation = allocate(curves, kRule, 0, 102, most);
    EXPECT_LE(allocation.risk, most + 1e-9);
    // Not a token more than that: the same share without a bound has the same risk.
    const SegmentAllocation share = allocate(curves, kRule, allocation.held_share, 102);
    EXPECT_NEAR(share.risk, allocation.risk, 1e-9) << most;
    EXPECT_EQ(allocate(curves, kRule, .9, 102, most).risk, allocate(curves, kRule, .9, 102).risk) << "keep is enough";
  }
  EXPECT_EQ(allocate(curves, kRule, 0, 102, 0).risk, 0);
  expect_error(ErrorCategory::kInvalidArgument, "max_risk is -1", [&] { allocate(curves, kRule, .5, 3, -1); });
}

TEST(Allocate, AShortSegmentIsItsWindow) {
  const SegmentAllocation allocation = allocate(example_curves(), kRule, .5, 3);
  EXPECT_EQ(allocation.held_share, 1);
  expect_error(ErrorCategory::kInvalidArgument, "keep is 1.5", [] { allocate(example_curves(), kRule, 1.5, 3); });
  expect_error(ErrorCategory::kInvalidArgument, "num_tokens is 0", [] { allocate(example_curves(), kRule, .5, 0); });
}

TEST(AnswerRiskText, WhatIsWrittenIsRead) {
  const Profile profile = example();
  const Profile read = Profile::parse(profile.to_json(), "p");
  ASSERT_TRUE(read.answer_risk);
  const AnswerRisk &a = *profile.answer_risk, &b = *read.answer_risk;
  EXPECT_EQ(a.rule, b.rule);
  EXPECT_EQ(a.keep.windows, b.keep.windows);
  EXPECT_EQ(a.keep.shares, b.keep.shares);
  EXPECT_EQ(a.keep.heads, b.keep.heads);
  EXPECT_FALSE(b.attend);
  EXPECT_EQ(a.bank.queries, b.bank.queries);
  EXPECT_EQ(a.bank.distance, b.bank.distance);
  EXPECT_EQ(a.bank.reduce, b.bank.reduce);
  EXPECT_EQ(a.bank.values, b.bank.values);
  ASSERT_EQ(b.measured.size(), 3u);
  EXPECT_EQ(b.measured[1].answers_kept, .98);
  EXPECT_EQ(read.to_json(), profile.to_json());
  EXPECT_EQ(read.usual_objective(), kAnswerRisk);
}

TEST(AnswerRiskText, TheUsualShareIsTheSmallestThatKeepsTheAnswers) {
  Profile profile = example();
  EXPECT_EQ(profile.usual_keep(kAnswerRisk), .2);
  profile.answer_risk->measured[2].answers_kept = .9;  // a larger one that did not is not jumped over
  EXPECT_EQ(profile.usual_keep(kAnswerRisk), 1);
  profile.answer_risk->measured.clear();
  EXPECT_EQ(profile.usual_keep(kAnswerRisk), kUnmeasuredKeep);
}

TEST(AnswerRiskText, TheBanksReductionIsKeptAndAMeanWhereNoneIsWritten) {
  Profile profile = example();
  profile.answer_risk->bank.reduce = ProbeReduce::kMax;
  json document = json::parse(profile.to_json());
  EXPECT_EQ(document["answer_risk"]["bank"]["reduce"], "max");
  EXPECT_EQ(Profile::parse(document.dump(), "p").answer_risk->bank.reduce, ProbeReduce::kMax);
  document["answer_risk"]["bank"].erase("reduce");
  EXPECT_EQ(Profile::parse(document.dump(), "p").answer_risk->bank.reduce, ProbeReduce::kMean);
}

TEST(AnswerRiskText, WhatIsDamagedIsRefusedByName) {
  const std::vector<std::pair<const char*, std::function<void(json&)>>> damages = {
      {"answer_risk.rule.order", [](json& o) { o["rule"]["order"] = "simpson"; }},
      {"answer_risk.rule.block_size", [](json& o) { o["rule"]["block_size"] = 16; }},
      {"answer_risk.keep.windows[1]", [](json& o) { o["keep"]["windows"][1] = 2; }},
      {"answer_risk.keep.windows[0]", [](json& o) { o["keep"]["windows"][0] = 0; }},
      {"answer_risk.keep.shares[0]", [](json& o) { o["keep"]["shares"][0] = .1; }},
      {"answer_risk.keep.shares[3]", [](json& o) { o["keep"]["shares"][3] = .9; }},
      {"answer_risk.keep.heads[1]", [](json& o) { o["keep"]["heads"][1].erase(0); }},
      {"answer_risk.keep.heads[0][1]", [](json& o) { o["keep"]["heads"][0][1].erase(0); }},
      {"answer_risk.keep.heads[0][1][2]", [](json& o) { o["keep"]["heads"][0][1][2] = -1; }},
      {"answer_risk.bank.layers[1]", [](json& o) { o["bank"]["layers"][1] = "AAAA"; }},
      {"answer_risk.bank.sha256", [](json& o) { o["bank"]["layers"][1] = o["bank"]["layers"][0]; }},
      {"answer_risk.bank.distance", [](json& o) { o["bank"]["distance"] = 0; }},
      {"answer_risk.bank.reduce", [](json& o) { o["bank"]["reduce"] = "sum"; }},
      {"answer_risk.measured[1].keep", [](json& o) { o["measured"][1]["keep"] = .1; }},
      {"answer_risk.speed", [](json& o) { o["speed"] = 1; }}};
  for (const auto& [where, damage] : damages) {
    json document = json::parse(example().to_json());
    damage(document["answer_risk"]);
    expect_error(ErrorCategory::kBadFile, where, [&] { Profile::parse(document.dump(), "p"); });
  }
}

TEST(AnswerRiskText, AProfileWithoutAnyConfigurationIsRefused) {
  json document = json::parse(example().to_json());
  document.erase("answer_risk");
  expect_error(ErrorCategory::kBadFile, "budgets", [&] { Profile::parse(document.dump(), "p"); });
}

}  // namespace
}  // namespace tca
