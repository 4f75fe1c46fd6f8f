// Sessions with every allocation of every operation failing once: the session is as it was, and the same operation then
// gives what it gives undisturbed.
#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <sstream>

#include "core/faults/failing_new.h"
#include "core/temporary_folder.h"
#include "engine/engine_fixture.h"
#include "tca/error.h"

namespace tca::runtime {
namespace {

using test::copy;
using test::Engine;
using test::read;
using testing::FailNthAllocation;

/// All that can be asked of a session, its cache's content included.
std::string state_of(const Session& session) {
  std::ostringstream all;
  const KvCache& cache = session.cache();
  all << cache.pool()->used_bytes() << " bytes used, " << session.kv_bytes() << " by it; limit "
      << session.truncation_limit() << ", kept " << session.kept_share() << "\n";
  const ReadStats& stats = session.last_read();
  all << "last read " << stats.tokens << ", " << stats.sparse << ", " << stats.density << ", " << stats.seconds << "\n";
  if (const auto& certificate = session.certificate()) {
    all << "certificate of " << certificate->layers.size() << " layers, " << certificate->layers[0][0].bound << "\n";
  }
  for (const std::int32_t id : session.tokens()) all << id << " ";
  for (std::int32_t l = 0; l < cache.shape().num_layers; ++l) {
    for (std::int32_t h = 0; h < cache.shape().num_kv_heads; ++h) {
      all << "\nlist " << cache.tail_begin(l, h) << ":";
      for (std::int32_t p = 0; p < cache.num_pages(l, h); ++p) {
        const KvPageView page = cache.page(l, h, p);
        all << "\n" << page.k << ": ";
        for (std::int32_t i = 0; i < page.count; ++i) all << page.positions[i] << " ";
        const std::size_t bytes =
            static_cast<std::size_t>(page.count * cache.shape().head_dim) * dtype_size(cache.shape().dtype);
        for (const void* rows : {page.k, page.v}) {
          all << std::hash<std::string_view>()({static_cast<const char*>(rows), bytes}) << " ";
        }
      }
    }
  }
  return all.str();
}

using Sessions = std::vector<Session>;
using Operation = std::function<std::vector<float>(Sessions&)>;

std::string state_of(const Sessions& sessions) {
  std::string all;
  for (const Session& session : sessions) all += state_of(session);
  return all;
}

/// Runs the operation with the first, the second, ... allocation failing until there is none left to fail. The sessions
/// have gone through all of these failures when it succeeds; what they read afterwards shows that nothing stayed
/// behind.
void check(const std::function<Sessions()>& make, const Operation& operation, bool runs_out = true) {
  Sessions undisturbed = make(), sessions = make();
  const std::vector<float> expected = operation(undisturbed);
  std::int64_t failures = 0;
  for (std::int64_t n = 1;; ++n) {
    const std::string before = state_of(sessions);
    std::vector<float> logits;
    bool threw = false, failed = false;
    {
      const FailNthAllocation allocation(n);
      try {
        logits = operation(sessions);
      } catch (const std::bad_alloc&) {
        threw = true;
      } catch (const Error& error) {
        // Of pages, of activations, or as oneDNN says it.
        threw = error.category() != ErrorCategory::kInvalidArgument;
      }
      failed = allocation.failed();
    }
    if (threw) {
      ++failures;
      ASSERT_TRUE(failed);
      ASSERT_EQ(state_of(sessions), before) << "allocation " << n;
      continue;
    }
    ASSERT_EQ(logits, expected) << "allocation " << n;
    if (!failed) break;
    // It did without, as thinning does, which can wait.
    sessions = make();
  }
  EXPECT_EQ(failures > 0, runs_out);
  ASSERT_EQ(sessions.size(), undisturbed.size());
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    EXPECT_EQ(sessions[i].tokens(), undisturbed[i].tokens());
    EXPECT_EQ(test::held_positions(sessions[i].cache()), test::held_positions(undisturbed[i].cache()));
    EXPECT_EQ(sessions[i].kv_bytes(), undisturbed[i].kv_bytes());
    for (std::int32_t id = 10; id < 20; ++id) EXPECT_EQ(read(sessions[i], {id}), read(undisturbed[i], {id}));
  }
}

class SessionFaults : public ::testing::Test {
 protected:
  SessionOptions sparse() const {
    return {.attention = AttentionMode::kTca, .profile = profile_, .tolerance = 0.3, .certify = true};
  }
  /// One session that has read a prompt; with `shared` a fork of it has its pages too.
  std::function<Sessions()> one(const SessionOptions& options, std::int64_t prompt, bool shared = false) {
    return [this, options, prompt, shared] {
      Sessions sessions;
      sessions.reserve(3);
      sessions.push_back(engine_.session(options));
      if (prompt > 0) read(sessions[0], engine_.prompt(prompt));
      if (shared) sessions.push_back(sessions[0].fork());
      return sessions;
    };
  }
  Operation reads(std::int64_t n) {
    return [ids = engine_.prompt(n, 2)](Sessions& sessions) { return read(sessions[0], ids); };
  }

  Engine engine_{{}, ComputeType::kF32, 1};  // one thread: failures are counted on this one
  std::shared_ptr<const Profile> profile_ = engine_.ragged_profile();
};

TEST_F(SessionFaults, Prompts) {
  check(one({}, 0), reads(70));
  check(one({}, 70), reads(60));
}

TEST_F(SessionFaults, SparsePrompts) {
  check(one(sparse(), 0), reads(90));
  check(one(sparse(), 90, true), reads(70));
}

TEST_F(SessionFaults, Tokens) {
  check(one({}, 63), reads(1));
  check(one({}, 64), reads(1));
  check(one({}, 70, true), reads(1));
}

TEST_F(SessionFaults, TokensThatThin) {
  // A tail of 24 + 7 tokens: the next one is thinned, of pages that a fork has too.
  for (const bool shared : {false, true}) {
    const auto make = [this, shared] {
      Sessions sessions = one({.attention = AttentionMode::kTca, .profile = profile_}, 90)();
      for (std::int32_t id = 0; id < 7; ++id) read(sessions[0], {id});
      if (shared) sessions.push_back(sessions[0].fork());
      return sessions;
    };
    check(make, reads(1));
  }
}

TEST_F(SessionFaults, Batches) {
  const auto make = [this] {
    Sessions sessions = one({}, 70, true)();
    sessions.push_back(engine_.session(sparse()));
    read(sessions[2], engine_.prompt(60));
    return sessions;
  };
  check(make, [](Sessions& sessions) {
    std::vector<Session*> all;
    for (Session& session : sessions) all.push_back(&session);
    return copy(Session::read_batch(all, std::vector<std::int32_t>{1, 2, 3}));
  });
}

TEST_F(SessionFaults, Forks) {
  check(one(sparse(), 70), [](Sessions& sessions) {
    sessions.push_back(sessions[0].fork());
    return std::vector<float>();
  });
}

TEST_F(SessionFaults, Truncation) {
  check(
      one({}, 100, true),
      [](Sessions& sessions) {
        sessions[0].truncate(60);
        return std::vector<float>();
      },
      false);
  for (const std::int64_t n : {0, 20}) {
    check(one({.attention = AttentionMode::kTca, .profile = profile_}, 25), [n](Sessions& sessions) {
      sessions[0].truncate(n);
      return std::vector<float>();
    });
  }
}

TEST_F(SessionFaults, SavingAndLoading) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("session");
  Sessions saved = one(sparse(), 90)();
  check(one(sparse(), 90), [&](Sessions& sessions) {
    sessions[0].save(path, "text");
    return std::vector<float>();
  });
  EXPECT_EQ(folder.num_entries(), 1u);
  check(one(sparse(), 0), [&](Sessions& sessions) {
    std::string user_text;
    sessions.push_back(Session::load(path, engine_.model, engine_.backend, engine_.pool,
                                     SessionOptions{.attention = AttentionMode::kTca, .profile = profile_},
                                     &user_text));
    return std::vector<float>{static_cast<float>(user_text.size())};
  });
}

}  // namespace
}  // namespace tca::runtime
