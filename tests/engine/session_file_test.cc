// Saved sessions go on as if they had never stopped, and a file that is not ours is refused by name.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/engine_fixture.h"
#include "tca/error.h"

namespace tca::runtime {
namespace {

using nlohmann::json;
using test::Engine;
using test::held_positions;
using test::read;
using test::TinyModelOptions;

class SessionFileTest : public testing::Test {
 protected:
  SessionFileTest() : dir_(std::filesystem::temp_directory_path() / ("tca_session_file_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(dir_);
    path_ = (dir_ / "saved.chat").string();
  }
  ~SessionFileTest() override { std::filesystem::remove_all(dir_); }

  SessionOptions tca_options() const {
    return {.attention = AttentionMode::kTca, .profile = engine_.ragged_profile(), .max_context = 1000};
  }
  Session load(SessionOptions options, std::string* text = nullptr) const {
    return Session::load(path_, engine_.model, engine_.backend, engine_.pool, std::move(options), text);
  }
  /// The message with which loading fails.
  std::string refusal(SessionOptions options, ErrorCategory category) const {
    try {
      load(std::move(options));
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), category) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "loaded";
    return "";
  }
  json metadata() const {
    json result;
    try {
      KvCache::load(path_, nullptr, [&](const KvShape&, const std::string& text) {
        result = json::parse(text);
        throw std::runtime_error("seen enough");
      });
    } catch (const std::runtime_error&) {
    }
    return result;
  }
  /// Writes the session's cache beside another text.
  void tamper(const Session& session, const json& text) const { session.cache().save(path_, text.dump()); }

  const Engine engine_;
  std::filesystem::path dir_;
  std::string path_;
};

TEST_F(SessionFileTest, ALoadedSessionGoesOnAsIfItHadNeverStopped) {
  SessionOptions options = tca_options();
  options.tolerance = 0.4;
  Session session = engine_.session(options);
  read(session, engine_.prompt(300));
  for (int i = 0; i < 45; ++i) read(session, {i});  // thinned on the way, and the ring of probes has turned
  session.save(path_, "ein Gespräch \"mit\" Zeilen\n");

  std::string text;
  Session loaded = load(options, &text);
  EXPECT_EQ(text, "ein Gespräch \"mit\" Zeilen\n");
  EXPECT_EQ(loaded.tokens(), session.tokens());
  EXPECT_EQ(held_positions(loaded.cache()), held_positions(session.cache()));
  for (int i = 0; i < 40; ++i) EXPECT_EQ(read(loaded, {i}), read(session, {i})) << i;
  EXPECT_EQ(read(loaded, engine_.prompt(200, 5)), read(session, engine_.prompt(200, 5)));
  EXPECT_EQ(held_positions(loaded.cache()), held_positions(session.cache()));
}

TEST_F(SessionFileTest, AnEmptyAndAFullSessionToo) {
  const Session empty = engine_.session();
  empty.save(path_);
  Session loaded = load({});
  EXPECT_EQ(loaded.num_tokens(), 0);
  Session full = engine_.session();
  EXPECT_EQ(read(loaded, engine_.prompt(70)), read(full, engine_.prompt(70)));
  full.save(path_);
  Session again = load({});
  EXPECT_EQ(read(again, {1}), read(full, {1}));
}

TEST_F(SessionFileTest, AFullSessionMayGoOnSparse) {
  Session full = engine_.session();
  read(full, engine_.prompt(200));
  full.save(path_);
  Session sparse = load(tca_options());
  EXPECT_EQ(sparse.kept_share(), 1);
  read(sparse, engine_.prompt(10));
  EXPECT_LT(sparse.kept_share(), 0.7);
}

TEST_F(SessionFileTest, AnotherModelIsRefusedWithBothFingerprints) {
  const Engine other(TinyModelOptions{.inner = 64});
  Session session = other.session();
  read(session, other.prompt(20));
  session.save(path_);
  const std::string message = refusal({}, ErrorCategory::kInvalidArgument);
  EXPECT_NE(message.find(other.model->fingerprint().weights_sha256.substr(0, 8)), std::string::npos) << message;
  EXPECT_NE(message.find(engine_.model->fingerprint().weights_sha256.substr(0, 8)), std::string::npos) << message;
}

TEST_F(SessionFileTest, WeightsAreKnownByTheirContent) {
  for (const bool sharded : {false, true}) {
    const Engine other(TinyModelOptions{.seed = 2, .sharded = sharded});
    ASSERT_EQ(other.model->fingerprint() == engine_.model->fingerprint(), !sharded);  // of one shape and header
    Session session = other.session();
    read(session, other.prompt(20));
    session.save(path_);
    const std::string message = refusal({}, ErrorCategory::kInvalidArgument);
    EXPECT_NE(message.find("other weights of this shape"), std::string::npos) << message;
    EXPECT_NE(message.find(other.model->content_hash()), std::string::npos) << message;
    EXPECT_NE(message.find(engine_.model->content_hash()), std::string::npos) << message;
  }
  // The same weights in other files are the same model.
  const Engine resharded(TinyModelOptions{.sharded = true});
  Session session = resharded.session(), here = engine_.session();
  read(session, engine_.prompt(70));
  read(here, engine_.prompt(70));
  session.save(path_);
  Session loaded = load({});
  EXPECT_EQ(read(loaded, {1}), read(here, {1}));
}

TEST_F(SessionFileTest, WhatDoesNotFitIsRefused) {
  Session session = engine_.session();
  read(session, engine_.prompt(200));
  session.save(path_);
  EXPECT_NE(refusal({.max_context = 199}, ErrorCategory::kInvalidArgument).find("200 tokens"), std::string::npos);
  EXPECT_NE(refusal({.kv_budget_bytes = 100000}, ErrorCategory::kOutOfBudget).find("full"), std::string::npos);
  EXPECT_THROW(session.save(path_, "\xff\xfe"), Error);
  EXPECT_EQ(load({}).num_tokens(), 200) << "the old file is still there";
}

TEST_F(SessionFileTest, EveryFieldIsChecked) {
  Session session = engine_.session(tca_options());
  read(session, engine_.prompt(100));
  session.save(path_);
  const json good = metadata();
  tamper(session, good);
  EXPECT_EQ(load(tca_options()).num_tokens(), 100);

  const auto refused = [&](const char* field, const auto& change) {
    SCOPED_TRACE(field);
    json bad = good;
    change(bad);
    tamper(session, bad);
    EXPECT_NE(refusal(tca_options(), ErrorCategory::kBadFile).find(field), std::string::npos);
  };
  refused("format", [](json& j) { j["format"] = "tca-session/9"; });
  refused("format", [](json& j) { j = json::array(); });
  refused("model", [](json& j) { j.erase("model"); });
  refused("content_hash", [](json& j) { j["model"].erase("content_hash"); });
  refused("num_layers", [](json& j) { j["model"]["num_layers"] = -1; });
  refused("tokens", [](json& j) { j["tokens"] = "none"; });
  refused("tokens[3]", [](json& j) { j["tokens"][3] = 97; });
  refused("tokens[0]", [](json& j) { j["tokens"][0] = -1; });
  refused("tokens[1]", [](json& j) { j["tokens"][1] = 1.5; });
  refused("99 token ids", [](json& j) { j["tokens"].erase(0); });
  refused("user_text", [](json& j) { j["user_text"] = 5; });
  refused("probes", [](json& j) { j["probes"] = nullptr; });
  refused("size", [](json& j) { j["probes"]["size"] = 7; });
  refused("next_slot", [](json& j) { j["probes"]["next_slot"] = 6; });
  refused("layers.size", [](json& j) { j["probes"]["layers"].erase(0); });
  refused("layers[1].queries.size", [](json& j) { j["probes"]["layers"][1]["queries"] = "00"; });
  refused("layers[0].lse", [](json& j) { j["probes"]["layers"][0]["lse"].get_ref<std::string&>()[5] = 'x'; });
  refused("keep.size", [](json& j) { j["keep"].erase(0); });
  refused("keep[1]", [](json& j) { j["keep"][1] = 3; });
  refused("attend[0][1]", [](json& j) { j["attend"][0][1] = {1, 0, 0, 0}; });
  refused("keep[0][0][2]", [](json& j) { j["keep"][0][0][2] = 1.5; });
  refused("keep[0][0]", [](json& j) { j["keep"][0][0] = {0.1, 0.1, 0, 0, 0}; });
}

TEST_F(SessionFileTest, AnotherConfigurationTakesOver) {
  Session session = engine_.session(tca_options());
  read(session, engine_.prompt(100));
  session.save(path_);
  SessionOptions other = tca_options();
  other.profile = engine_.profile({BlockShares::full(8)});
  Session loaded = load(other);
  // Of what comes now every head keeps all.
  for (int i = 0; i < 60; ++i) read(loaded, {i});
  std::int64_t after_window = 0;
  for (const auto& head : held_positions(loaded.cache())) {
    after_window = std::count_if(head.begin(), head.end(), [](std::int32_t p) { return p >= 100 - 24; });
    EXPECT_EQ(after_window, 84);
  }
}

}  // namespace
}  // namespace tca::runtime
