// The quality table of docs/benchmarks.md in small: the shipped model and profile at 8K, every question asked after
// tokens were dropped. The whole table is bench/quality/quality.sh.
#include <gtest/gtest.h>

#include "core/file.h"
#include "evaluation/quality.h"

namespace tca::evaluation {
namespace {

using runtime::ChatFrames;
using runtime::ChatTemplate;
using runtime::Model;
using runtime::Tokenizer;

TEST(ShippedProfile, AFifthOfTheCacheAnswersAsFullAttentionDoes) {
  constexpr std::int64_t kContext = 8192;
  const std::string dir = TCA_SOURCE_DIR "/models/lookback-28m";
  ThreadPool pool;
  const auto backend = create_backend("cpu", pool);
  const Tokenizer tokenizer = Tokenizer::load(dir);
  const ChatTemplate chat = ChatTemplate::load(dir, tokenizer);
  const evaluation::Setup setup{Model::load(dir, pool), *backend, pool, tokenizer, chat.stop_ids()};
  const LookupGenerator generator(tokenizer, ChatFrames(chat),
                                  read_file(TCA_SOURCE_DIR "/examples/data/michael-armstrong.txt", 4 << 20));
  const std::vector<LookupDocument> documents = {
      generator.make({.context_tokens = kContext, .num_facts = 20, .random_start = true, .seed = 100}),
      generator.make({.context_tokens = kContext, .num_facts = 20, .random_start = true, .seed = 101})};
  runtime::SessionOptions options;
  options.profile = std::make_shared<Profile>(Profile::load(dir + "/profile.json"));
  const auto evaluate = [&](const std::string& form) {
    return evaluate_lookup(setup, parse_method(form, options, setup.model->fingerprint(), kContext), documents);
  };

  const LookupResult full = evaluate("full");
  const LookupResult tca = evaluate("tca:0.2");
  const LookupResult window = evaluate("window:0.2");
  ASSERT_EQ(full.total.questions, 40);
  // The model itself finds most facts, or the comparison would say nothing.
  EXPECT_GT(full.total.token_accuracy(), 0.9);
  // Margin: 3 % of about 330 answer tokens, which are two answers of five tokens. Measured: no token lost.
  EXPECT_GT(tca.total.token_accuracy(), full.total.token_accuracy() - 0.03);
  // The same share of tokens without choosing them, for scale.
  EXPECT_LT(window.total.token_accuracy(), full.total.token_accuracy() - 0.3);

  // Core tokens as the budget says, and the window, which at 8K weighs twice what it did at calibration's 16K. Rounding
  // to whole blocks moves a head by at most half a block for each of the 7 share boundaries.
  const ProfileBudget& budget = options.profile->pick(0.2);
  const SelectionRule& rule = options.profile->rule_of(budget);
  const double context = kContext;
  const double expected = budget.kept_share + (1 - budget.kept_share) * (rule.window + rule.sinks) / context;
  EXPECT_NEAR(tca.kept_share, expected, 3.5 * rule.block_size / context);
  EXPECT_LT(tca.kv_bytes, 0.25 * full.kv_bytes);
}

}  // namespace
}  // namespace tca::evaluation
