// From documents with facts to curves, with the shipped model, which finds the codes it was trained on.
#include "calibration/calibrate_answers.h"

#include <gtest/gtest.h>

#include "core/expect_error.h"
#include "core/file.h"
#include "runtime/chat/chat_frames.h"
#include "runtime/chat/chat_template.h"

namespace tca::calibration {
namespace {

using evaluation::FactKind;
using evaluation::LookupGenerator;
using runtime::ChatFrames;
using runtime::ChatTemplate;
using runtime::Model;
using runtime::Tokenizer;
using testing::expect_error;

constexpr const char* kModel = TCA_SOURCE_DIR "/models/lookback-28m";

class CalibrateAnswers : public ::testing::Test {
 protected:
  static ThreadPool& pool() {
    static ThreadPool instance;
    return instance;
  }
  static std::shared_ptr<const Model> model() {
    static const auto instance = Model::load(kModel, pool());
    return instance;
  }
  static const Tokenizer& tokenizer() {
    static const Tokenizer instance = Tokenizer::load(kModel);
    return instance;
  }
  static const ChatTemplate& chat() {
    static const ChatTemplate instance = ChatTemplate::load(kModel, tokenizer());
    return instance;
  }
  static AnswerMaterial material(std::int64_t tokens) {
    static const LookupGenerator generator(
        tokenizer(), ChatFrames(chat()),
        read_file(TCA_SOURCE_DIR "/examples/data/sbcl-manual.txt", 1 << 20).substr(0, 20'000));
    const auto make = [&](std::uint64_t seed) {
      return generator.make({.context_tokens = tokens,
                             .num_facts = 2,
                             .kinds = {FactKind::kNumber, FactKind::kRegisterLine},
                             .random_start = true,
                             .seed = seed});
    };
    return {.bank = {make(0)}, .risk = {make(1)}, .measure = {make(2)}};
  }
  static AnswerOptions options() {
    AnswerOptions options;
    options.rule.window = 32;
    options.windows = {8, 32};
    options.shares = {0, .1, .4, 1};
    options.bank_queries = 8;
    options.measured = {.2, .6};
    return options;
  }
  static AnswerRisk run(ThreadPool& threads, const AnswerMaterial& material, const runtime::Progress& progress = {}) {
    const auto backend = create_backend("cpu", threads);
    const evaluation::Setup setup{model(), *backend, threads, tokenizer(), model()->config().eos_tokens};
    return calibrate_answers(setup, *model(), material, model()->fingerprint(), options(), progress);
  }
};

TEST_F(CalibrateAnswers, GivesCurvesABankAndWhatWasMeasured) {
  std::int64_t done = 0, total = 0;
  const AnswerRisk answers = run(pool(), material(700), [&](std::int64_t at, std::int64_t of) {
    EXPECT_GE(at, done);
    done = at;
    total = of;
    return true;
  });
  EXPECT_EQ(done, 1400);
  EXPECT_EQ(total, 1400);
  const runtime::ModelConfig& config = model()->config();
  ASSERT_EQ(answers.keep.heads.size(), static_cast<std::size_t>(config.num_layers));
  double at_nothing = 0;
  for (const auto& layer : answers.keep.heads) {
    ASSERT_EQ(layer.size(), static_cast<std::size_t>(config.num_kv_heads));
    for (const std::vector<double>& head : layer) {
      ASSERT_EQ(head.size(), 8u);
      for (std::size_t i = 0; i < head.size(); ++i) {
        EXPECT_LE(head[i], i % 4 > 0 ? head[i - 1] : head[0]) << "more tokens";
        EXPECT_LE(head[i], i >= 4 ? head[i - 4] : head[0]) << "a wider window";
      }
      EXPECT_NEAR(head[3], 0, 1e-6) << "keeps everything";
      at_nothing += head[0];
    }
  }
  EXPECT_GT(at_nothing, 0);
  ASSERT_TRUE(answers.attend);
  EXPECT_EQ(answers.attend->windows, std::vector<std::int32_t>{32});
  EXPECT_EQ(answers.bank.queries, 8);
  EXPECT_EQ(answers.bank.values.size(), static_cast<std::size_t>(config.num_layers) * 8 *
                                            static_cast<std::size_t>(config.num_heads * config.head_dim));
  ASSERT_EQ(answers.measured.size(), 2u);
  EXPECT_EQ(answers.measured[0].keep, .2);

  Profile profile;
  profile.model = model()->fingerprint();
  profile.rule = options().rule;
  profile.answer_risk = answers;
  EXPECT_EQ(Profile::parse(profile.to_json(), "p").to_json(), profile.to_json());
}

TEST_F(CalibrateAnswers, AnyNumberOfThreadsFindsTheSame) {
  const AnswerMaterial few{.bank = material(300).bank, .risk = material(300).risk, .measure = {}};
  ThreadPool one(1), three(3);
  const AnswerRisk a = run(one, few), b = run(three, few);
  EXPECT_EQ(a.keep.heads, b.keep.heads);
  EXPECT_EQ(a.attend->heads, b.attend->heads);
  EXPECT_EQ(a.bank.values, b.bank.values);
}

TEST_F(CalibrateAnswers, StopsWhenTold) {
  expect_error(ErrorCategory::kCancelled, "calibrated",
               [] { run(pool(), material(300), [](std::int64_t, std::int64_t) { return false; }); });
}

TEST_F(CalibrateAnswers, WhatCannotBeCalibratedIsRefused) {
  expect_error(ErrorCategory::kInvalidArgument, "no documents", [] { run(pool(), {}); });
  AnswerMaterial short_documents = material(300);
  short_documents.risk[0].context.resize(40);
  expect_error(ErrorCategory::kInvalidArgument, "40 tokens", [&] { run(pool(), short_documents); });
  AnswerMaterial unanswered = material(300);
  for (evaluation::Fact& fact : unanswered.risk[0].facts) fact.answer = "9999999";
  expect_error(ErrorCategory::kInvalidArgument, "answered none", [&] { run(pool(), unanswered); });
}

}  // namespace
}  // namespace tca::calibration
