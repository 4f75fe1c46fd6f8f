// Sessions whose profile has curves: what is held is what was asked for at every length, chosen by the bank.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/half.h"
#include "engine/engine_fixture.h"
#include "runtime/engine/bank_probes.h"
#include "runtime/model/rope.h"

namespace tca::runtime {
namespace {

using test::Engine;
using test::held_positions;
using test::kLogitBound;
using test::largest_difference;
using test::read;

SelectionRule token_rule() {
  return {.block_size = 8, .window = 16, .sinks = 3, .probe_queries = 6, .pool_width = 1, .order = BlockOrder::kTokens};
}

/// Every head differs in what it would lose.
std::shared_ptr<const Profile> curves_profile(const Engine& engine) {
  const ModelConfig& config = engine.model->config();
  Profile profile;
  profile.model = engine.model->fingerprint();
  profile.rule = token_rule();
  AnswerRisk& answers = profile.answer_risk.emplace();
  answers.rule = token_rule();
  answers.keep = {.windows = {4, 12}, .shares = {0, .1, .3, 1}, .heads = {}};
  double weight = 1;
  for (std::int32_t l = 0; l < config.num_layers; ++l) {
    auto& heads = answers.keep.heads.emplace_back();
    for (std::int32_t h = 0; h < config.num_kv_heads; ++h, weight *= 3) {
      heads.push_back({8 * weight, 4 * weight, weight, 0, 7 * weight, 3 * weight, weight, 0});
    }
  }
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  answers.bank = {.queries = 5, .distance = 9, .values = {}};
  answers.bank.values.resize(static_cast<std::size_t>(config.num_layers) * 5 *
                             static_cast<std::size_t>(config.num_heads * config.head_dim));
  for (float& value : answers.bank.values) value = bf16_to_float(float_to_bf16(normal(random)));
  return std::make_shared<const Profile>(std::move(profile));
}

SessionOptions options_of(const Engine& engine, double keep) {
  return {.attention = AttentionMode::kTca, .profile = curves_profile(engine), .keep = keep};
}

TEST(AnswerRiskSession, HoldsTheShareThatWasAskedForAtEveryLength) {
  const Engine engine;
  for (const double keep : {.1, .25, .5}) {
    for (const std::int64_t n : {200, 500}) {
      Session session = engine.session(options_of(engine, keep));
      read(session, engine.prompt(n));
      EXPECT_TRUE(session.last_read().sparse);
      // A head's count is rounded to whole tokens.
      EXPECT_NEAR(session.kept_share(), keep, 0.5 / static_cast<double>(n) + 1e-9) << keep << " of " << n;
      EXPECT_EQ(session.last_read().density, 1) << "prefill computes over everything";
    }
  }
}

TEST(AnswerRiskSession, KeepsWhatTheBankLooksAt) {
  const Engine engine;
  const auto profile = curves_profile(engine);
  const std::int64_t n = 300;
  // A dense read shows the keys; then the choice is made again from the outside.
  class Choose : public LayerObserver {
   public:
    Choose(const Engine& engine, const Profile& profile, std::int64_t n)
        : backend_(engine.backend),
          allocation_(allocate(profile.answer_risk->keep, token_rule(), .2, n)),
          probes_(profile.answer_risk->bank, engine.model->config(), n - 1 + 9, false, DType::kF32, host_memory(),
                  engine.pool) {}
    void on_layer(std::int32_t layer, const TensorView&, const TensorView& k, const TensorView&) override {
      const auto at = static_cast<std::size_t>(layer);
      const KeptSet kept = backend_.select({.q = probes_.queries(layer),
                                            .k = k,
                                            .shares = allocation_.shares[at],
                                            .rule = token_rule(),
                                            .probes_follow = true,
                                            .windows = allocation_.windows[at]});
      for (std::int32_t h = 0; h < kept.num_kv_heads(); ++h) {
        chosen.emplace_back(kept.head(h).begin(), kept.head(h).end());
      }
    }
    std::vector<std::vector<std::int32_t>> chosen;

   private:
    const Backend& backend_;
    SegmentAllocation allocation_;
    BankProbes probes_;
  } choose(engine, *profile, n);
  Session full = engine.session();
  full.read(engine.prompt(n), {.observer = &choose});
  Session session = engine.session({.attention = AttentionMode::kTca, .profile = profile, .keep = .2});
  const std::vector<float> logits = read(session, engine.prompt(n));
  EXPECT_EQ(held_positions(session.cache()), choose.chosen);
  // What is dropped leaves after the prompt was read.
  Session again = engine.session();
  EXPECT_LE(largest_difference(logits, read(again, engine.prompt(n))), kLogitBound);
}

TEST(AnswerRiskSession, ASecondTurnAndDecodingStayWithinTheShare) {
  const Engine engine;
  Session session = engine.session(options_of(engine, .3));
  read(session, engine.prompt(300));
  read(session, engine.prompt(260, 5));
  for (int i = 0; i < 60; ++i) read(session, {i});
  // The tail of decoded tokens is thinned in blocks behind its window.
  const double tail = (token_rule().window + token_rule().block_size) / 620.0;
  EXPECT_LE(session.kept_share(), .3 + tail);
  EXPECT_GE(session.kept_share(), .2);
}

TEST(AnswerRiskSession, KeepingAllEqualsFullAttention) {
  const Engine engine;
  Session sparse = engine.session(options_of(engine, 1)), full = engine.session();
  for (const std::int64_t n : {200, 90, 5}) {
    EXPECT_LE(largest_difference(read(sparse, engine.prompt(n, 9)), read(full, engine.prompt(n, 9))), kLogitBound);
  }
  for (int i = 0; i < 40; ++i) EXPECT_LE(largest_difference(read(sparse, {i}), read(full, {i})), kLogitBound);
}

TEST(AnswerRiskSession, SavedAndLoadedItGoesOnAsBefore) {
  const Engine engine;
  Session session = engine.session(options_of(engine, .25));
  read(session, engine.prompt(220));
  const std::string path = ::testing::TempDir() + "answer_risk_session_test.tca";
  session.save(path);
  Session loaded = Session::load(path, engine.model, engine.backend, engine.pool, options_of(engine, .25));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(read(loaded, {i}), read(session, {i})) << i;
  EXPECT_EQ(held_positions(loaded.cache()), held_positions(session.cache()));
}

TEST(BankProbes, AreTheQueriesThatTheModelWouldRotate) {
  // By hand: head_dim 4, one frequency of 1 and one of 1 / sqrt(10000).
  ModelConfig config;
  config.num_layers = 1;
  config.num_heads = 1;
  config.head_dim = 4;
  config.layers.resize(1);
  config.ropes[0].theta = 10000;
  ThreadPool pool(1);
  const QueryBank bank{.queries = 1, .distance = 1, .values = {1, 2, 3, 4}};
  const BankProbes probes(bank, config, 7, false, DType::kF32, host_memory(), pool);
  const auto* q = static_cast<const float*>(probes.queries(0).data);
  EXPECT_NEAR(q[0], std::cos(7.0) - 3 * std::sin(7.0), 1e-6);
  EXPECT_NEAR(q[2], 3 * std::cos(7.0) + std::sin(7.0), 1e-6);
  EXPECT_NEAR(q[1], 2 * std::cos(.07) - 4 * std::sin(.07), 1e-6);
  EXPECT_NEAR(q[3], 4 * std::cos(.07) + 2 * std::sin(.07), 1e-6);
}

}  // namespace
}  // namespace tca::runtime
