// Scores with the shipped model on short documents, against its own logits read the plain way.
#include "evaluation/quality.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/file.h"
#include "evaluation/answers.h"
#include "runtime/engine/generate.h"
#include "tca/error.h"

namespace tca::evaluation {
namespace {

using runtime::ChatFrames;
using runtime::ChatTemplate;
using runtime::Model;
using runtime::Session;
using runtime::SessionOptions;
using runtime::Tokenizer;

class Quality : public testing::Test {
 protected:
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static constexpr std::int64_t kContext = 384;  // sanitizers make the model 30 times slower
#else
  static constexpr std::int64_t kContext = 1024;
#endif

  static ThreadPool& pool() {
    static ThreadPool instance;
    return instance;
  }
  static const evaluation::Setup& setup() {
    static const auto backend = create_backend("cpu", pool());
    static const evaluation::Setup instance{Model::load(TCA_SOURCE_DIR "/models/lookback-28m", pool()), *backend,
                                            pool(), tokenizer(), form().stop_ids()};
    return instance;
  }
  static const Tokenizer& tokenizer() {
    static const Tokenizer instance = Tokenizer::load(TCA_SOURCE_DIR "/models/lookback-28m");
    return instance;
  }
  static const ChatTemplate& form() {
    static const ChatTemplate instance = ChatTemplate::load(TCA_SOURCE_DIR "/models/lookback-28m", tokenizer());
    return instance;
  }
  static const LookupGenerator& generator() {
    static const LookupGenerator instance(tokenizer(), ChatFrames(form()),
                                          read_file(TCA_SOURCE_DIR "/examples/data/michael-armstrong.txt", 4 << 20));
    return instance;
  }
  static std::vector<LookupDocument> documents(int count) {
    std::vector<LookupDocument> documents;
    for (int i = 0; i < count; ++i) {
      documents.push_back(generator().make(
          {.context_tokens = kContext, .num_facts = 5, .random_start = true, .seed = static_cast<std::uint64_t>(i)}));
    }
    return documents;
  }
  static Method method(const std::string& form) {
    return parse_method(form, SessionOptions{}, setup().model->fingerprint(), kContext);
  }
  // Everything kept, but through selection and the compressed cache.
  static Method keep_everything() {
    Profile profile;
    profile.model = setup().model->fingerprint();
    HeadProfile head;
    head.keep = BlockShares::full(profile.rule.block_size);
    ProfileBudget budget;
    budget.objective = "tail-risk";
    budget.budget = budget.kept_share = 1;
    budget.layers.assign(static_cast<std::size_t>(profile.model.num_layers),
                         std::vector<HeadProfile>(static_cast<std::size_t>(profile.model.num_kv_heads), head));
    profile.budgets = {budget};
    SessionOptions options;
    options.profile = std::make_shared<Profile>(profile);
    return parse_method("tca:1", options, profile.model, kContext);
  }
};

TEST_F(Quality, ScoresAreTheModelsOwnLogits) {
  const auto documents = Quality::documents(1);
  const LookupDocument& document = documents[0];
  Score expected;
  for (std::size_t i = 0; i < document.facts.size(); ++i) {
    Session session(setup().model, setup().backend, setup().pool, method("full").options);
    session.read(document.context);
    std::span<const float> logits = session.read(document.questions[i]);
    bool exact = true;
    for (const std::int32_t token : document.answers[i]) {
      const auto top = std::max_element(logits.begin(), logits.end());
      double sum = 0;
      for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - *top);
      expected.log_prob_sum += logits[static_cast<std::size_t>(token)] - *top - std::log(sum);
      exact = exact && top - logits.begin() == token;
      expected.tokens_right += top - logits.begin() == token ? 1 : 0;
      ++expected.tokens;
      logits = session.read({&token, 1});
    }
    ++expected.questions;
    expected.exact += exact ? 1 : 0;
  }
  // Teacher-forced in one read there, token by token here: sums run in another order, in bf16 where the CPU has it.
  for (const AskOrder order : {AskOrder::kLater, AskOrder::kFirst}) {
    const LookupResult result = evaluate_lookup(setup(), method("full"), documents, order);
    EXPECT_EQ(result.total.questions, expected.questions);
    EXPECT_EQ(result.total.tokens, expected.tokens);
    EXPECT_NEAR(static_cast<double>(result.total.tokens_right), static_cast<double>(expected.tokens_right), 1);
    EXPECT_NEAR(static_cast<double>(result.total.exact), static_cast<double>(expected.exact), 1);
    EXPECT_NEAR(result.total.mean_log_prob(), expected.mean_log_prob(), 0.03);
    EXPECT_EQ(result.kept_share, 1.0);
    EXPECT_EQ(result.density, 1.0);
  }
}

TEST_F(Quality, AnswersAreFoundInWhatTheModelSays) {
  const auto documents = Quality::documents(2);
  for (const AskOrder order : {AskOrder::kLater, AskOrder::kFirst}) {
    const LookupResult result = evaluate_lookup(setup(), method("full"), documents, order);
    std::int64_t expected = 0;
    for (const LookupDocument& document : documents) {
      for (std::size_t i = 0; i < document.facts.size(); ++i) {
        Session session(setup().model, setup().backend, setup().pool, method("full").options);
        session.read(document.context);
        const auto logits = session.read(document.questions[i]);
        runtime::GenerateOptions options;
        options.max_tokens = 100;
        options.stop_ids = setup().stop_ids;
        const std::string said = runtime::generate(session, tokenizer(), logits, options).text;
        expected += answer_found(said, document.facts[i]) ? 1 : 0;
      }
    }
    // One read there, two here: in bf16 one answer may differ.
    EXPECT_NEAR(static_cast<double>(result.total.found), static_cast<double>(expected), 1);
    EXPECT_GE(result.total.found, 8);  // of 10, at a short context
  }
}

TEST_F(Quality, ASentenceInFrontOfTheAnswerCosts) {
  // The teacher-forced figure of a model that is made to begin otherwise: another first answer token is right.
  std::vector<LookupDocument> documents = Quality::documents(1);
  for (std::size_t i = 0; i < documents[0].facts.size(); ++i) {
    documents[0].answers[i] = tokenizer().encode_plain("The answer is: " + documents[0].facts[i].answer);
  }
  const LookupResult result = evaluate_lookup(setup(), method("full"), documents);
  EXPECT_EQ(result.total.exact, 0);
  EXPECT_GE(result.total.found, 4);  // of 5
}

TEST_F(Quality, KindsAddUpToTheTotal) {
  const LookupResult result = evaluate_lookup(setup(), method("full"), documents(2));
  ASSERT_EQ(result.kinds.size(), 5u);
  Score sum;
  for (std::size_t i = 0; i < result.kinds.size(); ++i) {
    if (i > 0) {
      EXPECT_LT(result.kinds[i - 1].kind, result.kinds[i].kind);
    }
    EXPECT_EQ(result.kinds[i].score.questions, 2);
    EXPECT_LE(result.kinds[i].score.found, 2);
    sum += result.kinds[i].score;
  }
  EXPECT_EQ(sum.questions, result.total.questions);
  EXPECT_EQ(sum.tokens, result.total.tokens);
  EXPECT_EQ(sum.tokens_right, result.total.tokens_right);
  EXPECT_EQ(sum.exact, result.total.exact);
  EXPECT_EQ(sum.found, result.total.found);
  EXPECT_NEAR(sum.log_prob_sum, result.total.log_prob_sum, 1e-9);
  // The model was trained for this: far above chance at a short context.
  EXPECT_GT(result.total.token_accuracy(), 0.8);
}

TEST_F(Quality, TheWindowAloneForgets) {
  const auto documents = Quality::documents(2);
  const LookupResult full = evaluate_lookup(setup(), method("full"), documents);
  const LookupResult window = evaluate_lookup(setup(), method("window:0.25"), documents);
  EXPECT_NEAR(window.kept_share, 0.25, 0.01);
  EXPECT_LT(window.density, 0.5);
  EXPECT_LT(window.total.token_accuracy(), full.total.token_accuracy() - 0.2);
}

TEST_F(Quality, KeepingEverythingThroughSelectionCostsNothing) {
  const auto documents = Quality::documents(1);
  for (const AskOrder order : {AskOrder::kLater, AskOrder::kFirst}) {
    const LookupResult full = evaluate_lookup(setup(), method("full"), documents, order);
    const LookupResult kept = evaluate_lookup(setup(), keep_everything(), documents, order);
    EXPECT_NEAR(kept.kept_share, 1.0, 1e-12);
    EXPECT_NEAR(kept.total.mean_log_prob(), full.total.mean_log_prob(), 0.03);
  }
}

TEST_F(Quality, PlainTextLoss) {
  const std::vector<std::vector<std::int32_t>> texts = {generator().plain_text(0, 701),
                                                        generator().plain_text(5000, 900)};
  const TextResult full = evaluate_text(setup(), method("full"), texts, /*continued_tokens=*/0);
  EXPECT_EQ(full.prompt.tokens, 350 + 450);
  EXPECT_EQ(full.continued.tokens, 0);
  EXPECT_EQ(full.kept_share, 1.0);
  double sum = 0;
  for (const auto& text : texts) {
    Session session(setup().model, setup().backend, setup().pool, method("full").options);
    const std::size_t half = (text.size() - 1) / 2;
    session.read(std::span(text).first(half), {.num_logits = 0});
    const auto rest = std::span(text).subspan(half, text.size() - 1 - half);
    const std::span<const float> logits = session.read(rest, {.num_logits = std::ssize(rest)});
    const std::size_t vocab = logits.size() / rest.size();
    for (std::size_t i = 0; i < rest.size(); ++i) {
      const auto row = logits.subspan(i * vocab, vocab);
      double total = 0;
      for (const float logit : row) total += std::exp(static_cast<double>(logit));
      sum -= row[static_cast<std::size_t>(text[half + i + 1])] - std::log(total);
    }
  }
  EXPECT_NEAR(full.prompt.nll, sum / 800, 0.01);
  EXPECT_GT(full.prompt.nll, 2.0);  // nats: prose the model has not learnt by heart
  EXPECT_LT(full.prompt.nll, 4.5);
}

// The same tokens are scored whether they are read with the text or after it; only what was dropped differs.
TEST_F(Quality, LossAfterATextIsOfWhatIsKept) {
  const std::vector<std::vector<std::int32_t>> texts = {generator().plain_text(3000, 801)};
  const TextResult whole = evaluate_text(setup(), method("full"), texts, /*continued_tokens=*/0);
  const TextResult full = evaluate_text(setup(), method("full"), texts, /*continued_tokens=*/400);
  EXPECT_EQ(full.continued.tokens, 400);
  EXPECT_EQ(full.prompt.tokens, 200);
  EXPECT_NEAR(full.continued.nll, whole.prompt.nll, 0.01);  // bf16: another order of sums
  const TextResult window = evaluate_text(setup(), method("window:0.05"), texts, /*continued_tokens=*/400);
  EXPECT_LT(window.kept_share, 0.15);
  EXPECT_GT(window.continued.nll, full.continued.nll + 0.005);
}

TEST_F(Quality, AskedFirstMeansAreOfThePrompt) {
  const auto documents = Quality::documents(1);
  const LookupResult result = evaluate_lookup(setup(), method("window:0.2"), documents, AskOrder::kFirst);
  double density = 0, kv_bytes = 0;
  for (const auto& question : documents[0].questions) {
    Session session(setup().model, setup().backend, setup().pool, method("window:0.2").options);
    std::vector<std::int32_t> prompt = documents[0].context;
    prompt.insert(prompt.end(), question.begin(), question.end());
    session.read(prompt);
    density += session.last_read().density / static_cast<double>(documents[0].questions.size());
    kv_bytes += static_cast<double>(session.kv_bytes()) / static_cast<double>(documents[0].questions.size());
  }
  EXPECT_NEAR(result.density, density, 1e-9);
  EXPECT_NEAR(result.kv_bytes, kv_bytes, 1);
}

TEST_F(Quality, TheLossIsTheSameForAnyNumberOfThreads) {
  const std::vector<std::vector<std::int32_t>> texts = {generator().plain_text(100, 301)};
  std::set<double> losses;
  for (const int threads : {1, 2, 5}) {
    ThreadPool threads_of_one_run(threads);
    const evaluation::Setup run{setup().model, setup().backend, threads_of_one_run, setup().tokenizer,
                                setup().stop_ids};
    losses.insert(evaluate_text(run, method("full"), texts, 100).continued.nll);
  }
  EXPECT_EQ(losses.size(), 1u);
}

TEST_F(Quality, ProgressCountsEveryTokenAndCancels) {
  const auto documents = Quality::documents(2);
  for (const AskOrder order : {AskOrder::kLater, AskOrder::kFirst}) {
    std::vector<std::int64_t> steps;
    std::int64_t last_total = 0;
    evaluate_lookup(setup(), method("full"), std::span(documents).first(1), order,
                    [&](std::int64_t done, std::int64_t total) {
                      steps.push_back(done);
                      last_total = total;
                      return true;
                    });
    EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
    EXPECT_EQ(steps.back(), last_total);
    try {
      evaluate_lookup(setup(), method("full"), documents, order,
                      [](std::int64_t done, std::int64_t total) { return done < total / 3; });
      FAIL() << "evaluation went on";
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kCancelled);
    }
  }
}

TEST_F(Quality, WhatCannotBeEvaluatedIsRefused) {
  EXPECT_THROW(evaluate_lookup(setup(), method("full"), {}), Error);
  std::vector<LookupDocument> broken = documents(1);
  broken[0].answers.pop_back();
  EXPECT_THROW(evaluate_lookup(setup(), method("full"), broken), Error);
  broken = documents(1);
  broken[0].answers[2].clear();
  EXPECT_THROW(evaluate_lookup(setup(), method("full"), broken), Error);
  EXPECT_THROW(evaluate_text(setup(), method("full"), {}), Error);
}

TEST_F(Quality, MethodsByName) {
  SessionOptions base;
  base.profile = keep_everything().options.profile;
  const ModelFingerprint model = setup().model->fingerprint();
  const Method tca = parse_method("tca:0.25", base, model, kContext);
  EXPECT_EQ(tca.name, "tca:0.25");
  EXPECT_EQ(tca.options.attention, runtime::AttentionMode::kTca);
  EXPECT_EQ(tca.options.keep, 0.25);
  EXPECT_EQ(tca.options.objective, "tail-risk");
  EXPECT_EQ(parse_method("paper:0.39", base, model, kContext).options.objective, "paper");
  EXPECT_EQ(parse_method("full", base, model, kContext).options.attention, runtime::AttentionMode::kFull);
  const Method window = parse_method("window:0.5", base, model, 1000);
  EXPECT_EQ(window.options.profile->rule.window + window.options.profile->rule.sinks, 500);
  for (const char* bad :
       {"", "tca", "tca:", "tca:0", "tca:1.5", "tca:-1", "tca:nan", "tca:0.2x", "full:1", "best:0.2"}) {
    EXPECT_THROW(parse_method(bad, base, model, kContext), Error) << bad;
  }
  EXPECT_THROW(parse_method("tca:0.2", SessionOptions{}, model, kContext), Error);
}

}  // namespace
}  // namespace tca::evaluation
