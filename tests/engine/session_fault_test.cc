// Sessions with every allocation of every operation failing once: the session is as it was, and the same operation then
// gives what it gives undisturbed.
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <optional>

#include "core/faults/failing_new.h"
#include "core/temporary_folder.h"
#include "engine/session_faults.h"

namespace tca::runtime {
namespace {

using test::Engine;
using test::read;
using test::SessionOperation;
using test::Sessions;
using testing::fail_every_allocation;
using testing::FailNthAllocation;

void check(const std::function<Sessions()>& make, const SessionOperation& operation, bool runs_out = true) {
  test::check_with_faults<FailNthAllocation>(make, operation, runs_out);
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
  SessionOperation reads(std::int64_t n) { return test::reads(engine_.prompt(n, 2)); }

  Engine engine_{{}, ComputeType::kF32, 1};  // one thread: failures are counted on this one
  std::shared_ptr<const Profile> profile_ = engine_.ragged_profile();
};

TEST_F(SessionFaults, Prompts) {
  check(one({}, 0), reads(70));
  check(one({}, 70), reads(60));
}

TEST_F(SessionFaults, SparsePrompts) {
  // Heads that keep all begin a second page, then a third.
  check(one(sparse(), 0), reads(70));
  check(one(sparse(), 70, true), reads(60));
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
  check(make, test::read_batch);
}

TEST_F(SessionFaults, Forks) { check(one(sparse(), 70), test::fork); }

TEST_F(SessionFaults, SavingAndLoading) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("saved"), user_text(100, 'x'), untouched = "what was there";
  for (const bool and_later : {false, true}) {
    for (const SessionOptions& options : {SessionOptions(), sparse()}) {
      Session session = std::move(one(options, 40)()[0]);
      const std::string before = test::state_of(session);
      const auto save = [&] { session.save(path, user_text); };
      EXPECT_GT(fail_every_allocation(save, and_later, [&] { EXPECT_EQ(folder.num_entries(), 0u); }), 50);
      EXPECT_EQ(test::state_of(session), before);

      std::string loaded_text = untouched;
      std::optional<Session> loaded;
      const auto load = [&] {
        loaded.emplace(Session::load(path, engine_.model, engine_.backend, engine_.pool, options, &loaded_text));
      };
      EXPECT_GT(fail_every_allocation(load, and_later, [&] { EXPECT_EQ(loaded_text, untouched); }), 50);
      ASSERT_TRUE(loaded);
      EXPECT_EQ(loaded_text, user_text);
      EXPECT_EQ(loaded->tokens(), session.tokens());
      EXPECT_EQ(read(*loaded, {1}), read(session, {1}));
      std::filesystem::remove(path);
    }
  }
}

TEST_F(SessionFaults, Truncation) {
  check(one({}, 100, true), test::truncates(60), false);
  for (const std::int64_t n : {0, 20}) {
    check(one({.attention = AttentionMode::kTca, .profile = profile_}, 25), test::truncates(n));
  }
}

}  // namespace
}  // namespace tca::runtime
