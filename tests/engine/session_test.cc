// Reading in full attention: segments, threads, chunks, limits, and that a read happens wholly or not at all.
#include "runtime/engine/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "engine/engine_fixture.h"
#include "tca/error.h"

namespace tca::runtime {
namespace {

using test::copy;
using test::Engine;
using test::held_positions;
using test::kLogitBound;
using test::largest_difference;
using test::read;
using test::TinyModelOptions;

/// The category of the error that action throws, and its message in `message`.
template <class Action>
ErrorCategory category_of(const Action& action, std::string* message = nullptr) {
  try {
    action();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.category();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCategory::kIo;
}

TEST(Session, SegmentsAndSingleTokensReadLikeOnePrompt) {
  const Engine engine;
  const std::vector<std::int32_t> ids = engine.prompt(150);
  Session whole = engine.session(), parts = engine.session();
  const std::vector<float> expected = read(whole, ids);
  const auto part = [&](std::size_t begin, std::size_t end) {
    return read(parts,
                {ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.begin() + static_cast<std::ptrdiff_t>(end)});
  };
  part(0, 70);
  part(70, 71);
  part(71, 100);
  for (std::size_t i = 100; i + 1 < ids.size(); ++i) part(i, i + 1);
  EXPECT_LE(largest_difference(part(149, 150), expected), kLogitBound);
  EXPECT_EQ(parts.tokens(), ids);
  EXPECT_EQ(held_positions(parts.cache()), held_positions(whole.cache()));

  // The comparison can fail: one other token far back shows.
  std::vector<std::int32_t> other = ids;
  other[20] = (other[20] + 1) % 97;
  Session changed = engine.session();
  EXPECT_GT(largest_difference(read(changed, other), expected), 10 * kLogitBound);
}

std::vector<ComputeType> compute_types() { return {ComputeType::kF32, ComputeType::kBF16, ComputeType::kAuto}; }

TEST(Session, ThreadsMakeNoBitOfDifference) {
  for (const ComputeType compute : compute_types()) {
    std::vector<std::vector<float>> results;
    for (const int threads : {1, 2, 3}) {
      const Engine engine({}, compute, threads);
      for (const AttentionMode mode : {AttentionMode::kFull, AttentionMode::kTca}) {
        Session session = engine.session({.attention = mode, .profile = engine.ragged_profile()});
        std::vector<float>& result = results.emplace_back(read(session, engine.prompt(300)));
        for (const std::int32_t id : {5, 6, 7}) {
          const auto next = session.read(std::span(&id, 1));
          result.insert(result.end(), next.begin(), next.end());
        }
      }
    }
    for (std::size_t i = 2; i < results.size(); ++i) EXPECT_EQ(results[i], results[i % 2]);
    EXPECT_NE(results[0], results[1]);  // sparse is something else
  }
}

TEST(Session, ChunksMakeNoBitOfDifference) {
  const Engine engine;
  const std::vector<std::int32_t> ids = engine.prompt(700);
  const auto logits = [&](std::int64_t chunk) {
    Session session = engine.session({.chunk_tokens = chunk});
    return copy(session.read(ids, {.num_logits = 300}));
  };
  const std::vector<float> at_once = logits(8192);
  EXPECT_EQ(logits(1), at_once);
  EXPECT_EQ(logits(512), at_once);
}

TEST(Session, LogitsOfManyTokensAreThoseOfAll) {
  const Engine engine;
  const std::vector<std::int32_t> ids = engine.prompt(120);
  Session one = engine.session(), two = engine.session(), none = engine.session();
  const std::vector<float> last = copy(one.read(ids, {.num_logits = 120}));
  std::vector<float> all;
  two.read(ids, {.all_logits = [&](std::int64_t first, std::int64_t n, std::span<const float> logits) {
             EXPECT_EQ(first * 97, std::ssize(all));
             EXPECT_EQ(n * 97, std::ssize(logits));
             all.insert(all.end(), logits.begin(), logits.end());
           }});
  EXPECT_EQ(all, last);
  EXPECT_TRUE(none.read(ids, {.num_logits = 0}).empty());
  EXPECT_EQ(read(none, {1}), read(one, {1}));
}

class Recorder : public LayerObserver {
 public:
  void on_layer(std::int32_t layer, const TensorView& q, const TensorView& k, const TensorView& v) override {
    EXPECT_EQ(layer, layers++);
    EXPECT_EQ(q.num_tokens, 90);
    EXPECT_EQ(q.num_heads, 4);
    EXPECT_EQ(k.num_tokens, 90);
    EXPECT_EQ(v.num_heads, 2);
  }
  std::int32_t layers = 0;
};

TEST(Session, AnObserverSeesEveryTokenOfEveryLayer) {
  const Engine engine;
  Recorder recorder;
  Session observed = engine.session(), plain = engine.session();
  const std::vector<float> logits = copy(observed.read(engine.prompt(90), {.observer = &recorder}));
  EXPECT_EQ(recorder.layers, 2);
  // Without it the last layer computes one query only, with the kernels of few rows.
  EXPECT_LE(largest_difference(logits, read(plain, engine.prompt(90))), kLogitBound);
}

TEST(Session, StatsAddUp) {
  const Engine engine;
  Session session = engine.session();
  read(session, engine.prompt(200));
  const ReadStats& stats = session.last_read();
  EXPECT_EQ(stats.tokens, 200);
  EXPECT_FALSE(stats.sparse);
  EXPECT_EQ(stats.density, 1);
  EXPECT_GT(stats.attention_seconds, 0);
  EXPECT_NEAR(stats.seconds, stats.attention_seconds + stats.select_seconds + stats.linear_seconds, 1e-9);
  EXPECT_EQ(session.kept_share(), 1);
  EXPECT_EQ(session.kv_bytes(), session.full_kv_bytes());
}

// ---- Wholly or not at all ----

/// What must not change when a read fails.
struct Snapshot {
  explicit Snapshot(const Session& session)
      : tokens(session.tokens()), held(held_positions(session.cache())), used(session.cache().pool()->used_bytes()) {}
  bool operator==(const Snapshot&) const = default;
  std::vector<std::int32_t> tokens;
  std::vector<std::vector<std::int32_t>> held;
  std::size_t used;
};

TEST(Session, ACancelledReadLeavesTheSessionAsItWas) {
  Engine engine;
  Session session = engine.session(), undisturbed = engine.session();
  read(session, engine.prompt(50));
  read(undisturbed, engine.prompt(50));
  const Snapshot before(session);
  for (const int layer : {0, 1}) {
    // The helper thread asks every 50 ms; attention waits for the answer, as a long one would.
    std::atomic<bool> stop{false};
    int seen = 0;
    engine.backend.before_attention = [&](const PrefillParams& params) {
      if (seen++ != layer) return;
      stop.store(true);
      while (!params.cancel->load()) std::this_thread::yield();
    };
    std::string message;
    EXPECT_EQ(category_of(
                  [&] {
                    session.read(engine.prompt(100, 2),
                                 {.progress = [&](std::int64_t, std::int64_t) { return !stop.load(); }});
                  },
                  &message),
              ErrorCategory::kCancelled);
    EXPECT_NE(message.find("as it was"), std::string::npos);
    EXPECT_TRUE(Snapshot(session) == before);
  }
  engine.backend.before_attention = nullptr;
  EXPECT_EQ(read(session, engine.prompt(60, 3)), read(undisturbed, engine.prompt(60, 3)));
}

TEST(Session, WhatProgressThrowsComesThrough) {
  Engine engine;
  Session session = engine.session();
  engine.backend.before_attention = [](const PrefillParams& params) {
    while (!params.cancel->load()) std::this_thread::yield();
  };
  const Progress progress = [](std::int64_t, std::int64_t) -> bool { throw std::runtime_error("from progress"); };
  EXPECT_THROW(session.read(engine.prompt(40), {.progress = progress}), std::runtime_error);
  EXPECT_EQ(session.num_tokens(), 0);
}

class Failing : public LayerObserver {
 public:
  void on_layer(std::int32_t layer, const TensorView&, const TensorView&, const TensorView&) override {
    if (layer == 1) throw std::runtime_error("from the observer");
  }
};

TEST(Session, WhatObserversAndListenersThrowComesThrough) {
  const Engine engine;
  Session session = engine.session(), undisturbed = engine.session();
  read(session, engine.prompt(50));
  read(undisturbed, engine.prompt(50));
  const Snapshot before(session);
  Failing observer;
  for (const std::int64_t n : {1, 30}) {
    EXPECT_THROW(session.read(engine.prompt(n), {.observer = &observer}), std::runtime_error);
    EXPECT_TRUE(Snapshot(session) == before);
    const auto listener = [](std::int64_t, std::int64_t, std::span<const float>) { throw std::runtime_error("here"); };
    EXPECT_THROW(session.read(engine.prompt(n), {.all_logits = listener}), std::runtime_error);
    EXPECT_TRUE(Snapshot(session) == before);
  }
  EXPECT_EQ(read(session, engine.prompt(40)), read(undisturbed, engine.prompt(40)));
}

TEST(Session, ProgressEndsWithEverythingDone) {
  const Engine engine;
  for (const std::int64_t n : {1, 40, 600}) {
    Session session = engine.session({.profile = engine.ragged_profile()});
    std::int64_t last_done = 0, last_total = 1;
    session.read(engine.prompt(n), {.progress = [&](std::int64_t done, std::int64_t total) {
                   EXPECT_GE(done, last_done);
                   EXPECT_LE(done, total);
                   last_done = done;
                   last_total = total;
                   return true;
                 }});
    EXPECT_EQ(last_done, last_total) << n;
  }
}

TEST(Session, AFullBudgetIsAnErrorForThatReadOnly) {
  const Engine engine;
  // 2 layers of 2 heads: 4 pages hold 64 tokens. Ten pages: 64 tokens and a fork of them, but not 129.
  const std::size_t page = KvPool::create(0, 64, DType::kF32)->page_bytes();
  Session session = engine.session({.kv_budget_bytes = 10 * page}), roomy = engine.session();
  std::string message;
  EXPECT_EQ(category_of([&] { read(session, engine.prompt(161)); }, &message), ErrorCategory::kOutOfBudget);
  EXPECT_NE(message.find("KV pool is full"), std::string::npos) << message;
  EXPECT_EQ(session.num_tokens(), 0);
  EXPECT_EQ(session.cache().pool()->used_bytes(), 0u);
  EXPECT_EQ(read(session, engine.prompt(60)), read(roomy, engine.prompt(60)));

  // Token by token until it is full; then nothing changes any more.
  const std::int32_t id = 3;
  bool full = false;
  for (int i = 0; i < 200 && !full; ++i) {
    const Snapshot before(session);
    try {
      session.read(std::span(&id, 1));
    } catch (const Error& error) {
      ASSERT_EQ(error.category(), ErrorCategory::kOutOfBudget);
      EXPECT_TRUE(Snapshot(session) == before);
      full = true;
    }
  }
  EXPECT_TRUE(full);
  EXPECT_GE(session.num_tokens(), 64);
}

TEST(Session, SessionsShareAPool) {
  const Engine engine;
  const auto pool = KvPool::create(std::size_t{64} << 20, 64, DType::kF32);
  {
    Session a = engine.session({.kv_pool = pool}), b = engine.session({.kv_pool = pool});
    read(a, engine.prompt(70));
    read(b, engine.prompt(70));
    EXPECT_EQ(pool->used_bytes(), a.kv_bytes() + b.kv_bytes());
  }
  EXPECT_EQ(pool->used_bytes(), 0u);
}

TEST(Session, SessionsOfOneModelRunOnSeveralThreads) {
  const Engine engine;
  const auto profile = engine.ragged_profile();
  const auto converse = [&](std::uint64_t seed) {
    Session session = engine.session({.attention = AttentionMode::kTca, .profile = profile});
    std::vector<float> logits = read(session, engine.prompt(200, seed));
    for (int i = 0; i < 10; ++i) logits = read(session, {i});
    return logits;
  };
  std::vector<std::vector<float>> together(3);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < together.size(); ++i) {
    threads.emplace_back([&, i] { together[i] = converse(i); });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < together.size(); ++i) EXPECT_EQ(together[i], converse(i));
}

TEST(Session, AForkGoesItsOwnWay) {
  const Engine engine;
  Session session = engine.session({.attention = AttentionMode::kTca, .profile = engine.ragged_profile()});
  read(session, engine.prompt(100));
  Session fork = session.fork();
  EXPECT_EQ(fork.tokens(), session.tokens());
  const std::vector<float> first = read(session, engine.prompt(30, 2));
  read(fork, engine.prompt(30, 3));
  const std::vector<float> second = read(fork, engine.prompt(30, 4));
  EXPECT_EQ(session.num_tokens(), 130);
  EXPECT_EQ(fork.num_tokens(), 160);

  Session again = engine.session({.attention = AttentionMode::kTca, .profile = engine.ragged_profile()});
  read(again, engine.prompt(100));
  Session other = again.fork();
  EXPECT_EQ(read(again, engine.prompt(30, 2)), first);
  read(other, engine.prompt(30, 3));
  EXPECT_EQ(read(other, engine.prompt(30, 4)), second);
}

// ---- Taking tokens back ----

TEST(Session, TruncateTakesTheNewestTokensBack) {
  const Engine engine;
  Session session = engine.session(), undisturbed = engine.session();
  read(session, engine.prompt(100));
  read(undisturbed, engine.prompt(100));
  read(session, engine.prompt(40, 2));
  read(session, {8});
  session.truncate(100);
  EXPECT_TRUE(Snapshot(session).tokens == undisturbed.tokens());
  EXPECT_EQ(held_positions(session.cache()), held_positions(undisturbed.cache()));
  EXPECT_EQ(read(session, engine.prompt(30, 3)), read(undisturbed, engine.prompt(30, 3)));
  EXPECT_EQ(read(session, {5}), read(undisturbed, {5}));
  session.truncate(0);
  Session fresh = engine.session();
  EXPECT_EQ(read(session, engine.prompt(70)), read(fresh, engine.prompt(70)));
}

TEST(Session, TruncateTakesProbesBack) {
  const Engine engine;
  const SessionOptions options = {.attention = AttentionMode::kTca, .profile = engine.ragged_profile()};
  Session session = engine.session(options), undisturbed = engine.session(options);
  for (Session* each : {&session, &undisturbed}) read(*each, engine.prompt(20));
  // Nothing was thinned yet. Six probes are all that is kept, and ten new tokens replace them.
  read(session, {1, 2, 3, 4});
  read(session, {9});
  session.truncate(14);
  undisturbed.truncate(14);
  for (Session* each : {&session, &undisturbed}) {
    for (std::int32_t i = 0; i < 40; ++i) read(*each, {i});
  }
  EXPECT_LT(session.kept_share(), 0.9);
  EXPECT_EQ(held_positions(session.cache()), held_positions(undisturbed.cache()));
  EXPECT_EQ(read(session, {5}), read(undisturbed, {5}));
}

TEST(Session, TruncateRefusesWhatWasDropped) {
  const Engine engine;
  Session session = engine.session({.attention = AttentionMode::kTca, .profile = engine.ragged_profile()});
  read(session, engine.prompt(300));
  read(session, {1});
  read(session, {2});
  EXPECT_EQ(session.truncation_limit(), 300);
  const Snapshot before(session);
  for (const std::int64_t n : {-1, 303}) {
    EXPECT_EQ(category_of([&] { session.truncate(n); }), ErrorCategory::kInvalidArgument);
  }
  std::string message;
  EXPECT_EQ(category_of([&] { session.truncate(299); }, &message), ErrorCategory::kInvalidArgument);
  EXPECT_NE(message.find("do not come back; expected 0, or 300 to 302"), std::string::npos) << message;
  EXPECT_TRUE(Snapshot(session) == before);
  session.truncate(300);
  EXPECT_EQ(session.num_tokens(), 300);
  // From the beginning with the profile's shares, whatever --tolerance had made of them.
  session.truncate(0);
  Session fresh = engine.session({.attention = AttentionMode::kTca, .profile = engine.ragged_profile()});
  EXPECT_EQ(read(session, engine.prompt(200)), read(fresh, engine.prompt(200)));
}

// ---- Limits ----

TEST(Session, BadReadsAreRefusedByName) {
  const Engine engine;
  Session session = engine.session({.max_context = 100});
  const auto refused = [&](const std::vector<std::int32_t>& ids, const ReadOptions& options, const char* words) {
    std::string message;
    EXPECT_EQ(category_of([&] { session.read(ids, options); }, &message), ErrorCategory::kInvalidArgument);
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  refused({}, {}, "empty");
  refused({1, 2, 97}, {}, "ids[2] is 97");
  refused({-1}, {}, "ids[0] is -1");
  refused({1, 2}, {.num_logits = 3}, "num_logits is 3");
  refused({1, 2}, {.num_logits = -1}, "num_logits is -1");
  refused({1, 2}, {.attention = AttentionMode::kTca}, "profile");
  refused(engine.prompt(101), {}, "101 tokens");
  read(session, engine.prompt(99));
  refused({1, 2}, {}, "at most 100");
  read(session, {1});
  EXPECT_EQ(session.num_tokens(), 100);
}

TEST(Session, BadOptionsAreRefusedByName) {
  const Engine engine;
  const auto refused = [&](SessionOptions options, const char* words) {
    std::string message;
    EXPECT_EQ(category_of([&] { engine.session(std::move(options)); }, &message), ErrorCategory::kInvalidArgument);
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  refused({.attention = AttentionMode::kTca}, "profile");
  refused({.keep = 0}, "keep is 0");
  refused({.keep = NAN}, "keep is");
  refused({.max_context = 4097}, "4096");
  refused({.tolerance = -1.0}, "tolerance is -1");
  refused({.certify_rows = 0}, "certify_rows is 0");
  refused({.chunk_tokens = 0}, "chunk_tokens is 0");
  refused({.profile = engine.ragged_profile(), .objective = "best"}, "best");
  const Engine other(TinyModelOptions{.layers = 3});
  refused({.profile = other.ragged_profile()}, "layers");
}

TEST(Session, ASlidingWindowSlidesHoweverATextIsRead) {
  const Engine engine(TinyModelOptions{.architecture = "MistralForCausalLM", .sliding_window = 80});
  const std::vector<std::int32_t> ids = engine.prompt(300);
  Session whole = engine.session(), parts = engine.session();
  const std::vector<float> expected = read(whole, ids);
  const auto part = [&](Session& session, std::ptrdiff_t begin, std::ptrdiff_t end) {
    return read(session, {ids.begin() + begin, ids.begin() + end});
  };
  // Shorter than the window, over its edge, one by one, longer than it, and a few on.
  const std::vector<std::ptrdiff_t> ends = {50, 70, 100, 101, 102, 103, 230, 240, 298, 299};
  std::ptrdiff_t begin = 0;
  for (const std::ptrdiff_t end : ends) {
    part(parts, begin, end);
    begin = end;
    for (std::int32_t layer = 0; layer < 2; ++layer) EXPECT_LE(parts.cache().length(layer, 0), 80) << end;
  }
  Session fork = parts.fork();
  EXPECT_LE(largest_difference(part(parts, 299, 300), expected), kLogitBound);
  EXPECT_LE(largest_difference(part(fork, 299, 300), expected), kLogitBound);
  EXPECT_EQ(parts.context_limit(), 4096);
  EXPECT_LT(parts.kept_share(), 0.3);

  // Two layers of windows reach 158 tokens back and no further.
  const auto with_other = [&](std::size_t token) {
    std::vector<std::int32_t> other = ids;
    other[token] = (other[token] + 1) % 97;
    Session session = engine.session();
    return largest_difference(read(session, other), expected);
  };
  EXPECT_EQ(with_other(300 - 1 - 159), 0);
  EXPECT_GT(with_other(300 - 1 - 79), 0);
}

TEST(Session, CertificatesOfWindowsAreRefused) {
  const Engine engine(TinyModelOptions{.architecture = "MistralForCausalLM", .sliding_window = 80});
  EXPECT_EQ(category_of([&] { engine.session({.certify = true}); }), ErrorCategory::kUnsupported);
}

}  // namespace
}  // namespace tca::runtime
