// The decode loop over the default model: streaming, and every way it ends.
#include "runtime/engine/generate.h"

#include <gtest/gtest.h>

#include "tca/error.h"

namespace tca::runtime {
namespace {

class GenerateTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new Shared();
    shared_->prompt = shared_->tokenizer.encode("It was a fine morning in the month of", true);
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }

  struct Run {
    GenerateResult result;
    std::string streamed;
    std::int64_t num_tokens = 0;
  };
  static Run run(GenerateOptions options, std::int64_t max_context = 0, int stop_after = -1) {
    Session session(shared_->model, *shared_->backend, shared_->pool, {.max_context = max_context});
    const auto logits = session.read(shared_->prompt);
    Run done;
    int calls = 0;
    options.on_text = [&](const std::string& text) {
      done.streamed += text;
      return ++calls != stop_after;
    };
    done.result = generate(session, shared_->tokenizer, logits, options);
    done.num_tokens = session.num_tokens();
    return done;
  }

  struct Shared {
    std::string dir = std::string(TCA_SOURCE_DIR) + "/models/lookback-28m";
    ThreadPool pool{2};
    std::unique_ptr<Backend> backend = create_backend("cpu", pool);
    std::shared_ptr<const Model> model = Model::load(dir, pool);
    Tokenizer tokenizer = Tokenizer::load(dir);
    std::vector<std::int32_t> prompt;
  };
  static Shared* shared_;
  static std::int64_t prompt_size() { return std::ssize(shared_->prompt); }
};

GenerateTest::Shared* GenerateTest::shared_ = nullptr;

TEST_F(GenerateTest, StreamsWhatItReturns) {
  const Run done = run({.max_tokens = 12});
  EXPECT_EQ(done.result.ids.size(), 12u);
  EXPECT_EQ(done.streamed, done.result.text);
  EXPECT_EQ(done.result.text, shared_->tokenizer.decode(done.result.ids));
  EXPECT_FALSE(done.result.stopped_by_id);
  EXPECT_EQ(done.num_tokens, prompt_size() + 12);
  EXPECT_GT(done.result.tokens_per_second, 0);
}

TEST_F(GenerateTest, AStopTokenIsReadButNotShown) {
  const Run free = run({.max_tokens = 8});
  const std::int32_t stop = free.result.ids[5];
  const auto first = std::find(free.result.ids.begin(), free.result.ids.end(), stop) - free.result.ids.begin();
  const Run done = run({.max_tokens = 8, .stop_ids = {-7, stop}});
  EXPECT_TRUE(done.result.stopped_by_id);
  EXPECT_EQ(std::ssize(done.result.ids), first);
  EXPECT_EQ(done.num_tokens, prompt_size() + first + 1);
  EXPECT_EQ(done.streamed, shared_->tokenizer.decode(done.result.ids));
}

TEST_F(GenerateTest, TheListenerMayStopIt) {
  const Run done = run({.max_tokens = 8}, 0, 3);
  EXPECT_EQ(done.result.ids.size(), 3u);
  EXPECT_EQ(done.num_tokens, prompt_size() + 3);
}

TEST_F(GenerateTest, TheContextsEndIsNoError) {
  const Run done = run({.max_tokens = 100}, prompt_size() + 4);
  EXPECT_EQ(done.result.ids.size(), 4u);
  EXPECT_FALSE(done.result.stopped_by_id);
}

TEST_F(GenerateTest, NothingAskedNothingDone) {
  const Run done = run({.max_tokens = 0});
  EXPECT_TRUE(done.result.ids.empty());
  EXPECT_TRUE(done.streamed.empty());
  EXPECT_THROW(run({.max_tokens = -1}), Error);
}

TEST_F(GenerateTest, TheSameSeedGivesTheSameText) {
  const auto text = [](std::uint64_t seed) {
    return run({.max_tokens = 12, .sampling = {.temperature = 1, .top_p = 0.95, .seed = seed}}).result.text;
  };
  EXPECT_EQ(text(1), text(1));
  EXPECT_NE(text(1), text(2));
}

TEST_F(GenerateTest, RepetitionPenaltyCountsThePrompt) {
  // With this much of it no token of the prompt or of the answer comes again.
  const Run done = run({.max_tokens = 20, .sampling = {.repetition_penalty = 1e6}});
  std::vector<std::int32_t> all = shared_->prompt;
  for (const std::int32_t id : done.result.ids) {
    EXPECT_EQ(std::count(all.begin(), all.end(), id), 0);
    all.push_back(id);
  }
}

}  // namespace
}  // namespace tca::runtime
