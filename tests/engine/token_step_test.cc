// Single tokens: in batches of sessions, out of budget, and through a device's own step.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/kv_cache_impl.h"
#include "engine/engine_fixture.h"
#include "runtime/model/cpu_forward.h"

namespace tca::runtime {
namespace {

using test::copy;
using test::Engine;
using test::held_positions;
using test::read;

constexpr std::int32_t kVocab = 97;

/// What must not change when a read fails.
struct Snapshot {
  explicit Snapshot(const Session& session)
      : tokens(session.tokens()), held(held_positions(session.cache())), used(session.cache().pool()->used_bytes()) {}
  bool operator==(const Snapshot&) const = default;
  std::vector<std::int32_t> tokens;
  std::vector<std::vector<std::int32_t>> held;
  std::size_t used;
};

std::vector<float> read_batch(std::vector<Session>& sessions, const std::vector<std::int32_t>& ids) {
  std::vector<Session*> pointers;
  for (Session& session : sessions) pointers.push_back(&session);
  return copy(Session::read_batch(pointers, ids));
}

/// Reads `steps` tokens in all sessions at once and in forks of them one by one; everything must be the same.
void check_batches(std::vector<Session> sessions, int steps) {
  std::vector<Session> alone;
  for (const Session& session : sessions) alone.push_back(session.fork());
  for (int step = 0; step < steps; ++step) {
    std::vector<std::int32_t> ids;
    std::vector<float> expected;
    for (std::size_t i = 0; i < alone.size(); ++i) {
      ids.push_back((7 * step + 3 * static_cast<std::int32_t>(i)) % kVocab);
      const std::vector<float> logits = read(alone[i], {ids.back()});
      expected.insert(expected.end(), logits.begin(), logits.end());
    }
    ASSERT_EQ(read_batch(sessions, ids), expected) << "step " << step;
    for (std::size_t i = 0; i < alone.size(); ++i) {
      ASSERT_EQ(held_positions(sessions[i].cache()), held_positions(alone[i].cache())) << "step " << step;
      EXPECT_EQ(sessions[i].tokens(), alone[i].tokens());
      EXPECT_EQ(sessions[i].last_read().density, alone[i].last_read().density);
      EXPECT_EQ(sessions[i].last_read().tokens, 1);
      EXPECT_EQ(sessions[i].kv_bytes(), alone[i].kv_bytes());
    }
  }
}

/// Different lengths and modes; some are thinned on the way. The last two share their past.
std::vector<Session> mixed_sessions(const Engine& engine) {
  const auto profile = engine.ragged_profile();
  std::vector<Session> sessions;
  sessions.push_back(engine.session());
  sessions.push_back(engine.session({.attention = AttentionMode::kTca, .profile = profile}));
  sessions.push_back(engine.session({.attention = AttentionMode::kFull, .profile = profile}));
  sessions.push_back(engine.session({.attention = AttentionMode::kTca, .profile = profile}));
  read(sessions[0], engine.prompt(70));
  read(sessions[2], engine.prompt(20, 2));
  read(sessions[3], engine.prompt(301, 3));
  sessions.push_back(sessions[3].fork());
  return sessions;
}

TEST(TokenStep, ABatchReadsWhatEverySessionWouldReadAlone) {
  const Engine engine;
  check_batches(mixed_sessions(engine), 90);
}

TEST(TokenStep, ABatchOfBadSessionsIsRefusedByName) {
  const Engine engine, other(test::TinyModelOptions{.inner = 64});
  Session a = engine.session(), b = engine.session({.max_context = 50}), stranger = other.session();
  read(a, engine.prompt(50));
  read(b, engine.prompt(50));
  const Snapshot before_a(a), before_b(b);
  const auto refused = [&](const std::vector<Session*>& sessions, const std::vector<std::int32_t>& ids,
                           const char* words) {
    try {
      Session::read_batch(sessions, ids);
      ADD_FAILURE() << "read: " << words;
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
    EXPECT_TRUE(Snapshot(a) == before_a);
    EXPECT_TRUE(Snapshot(b) == before_b);
  };
  refused({}, {}, "no sessions");
  refused({&a}, {1, 2}, "2 ids for 1 sessions");
  refused({&a, nullptr}, {1, 2}, "sessions[1] is null");
  refused({&a, &stranger}, {1, 2}, "sessions[1] has another model");
  refused({&a, &a}, {1, 2}, "sessions[1] is sessions[0] too");
  refused({&a, &b}, {1, 2}, "sessions[1]: the context would be 51");
  refused({&b, &a}, {1, kVocab}, "sessions[0]: the context");
  refused({&a}, {kVocab}, "is 97");
}

TEST(TokenStep, ABatchThatDoesNotFitTheBudgetChangesNothing) {
  const Engine engine;
  // Two sessions of 64 tokens: 4 pages each, and as many for one more token. Twelve pages: room for one of them.
  const std::size_t page = KvPool::create(0, 64, DType::kF32)->page_bytes();
  const auto pool = KvPool::create(12 * page, 64, DType::kF32);
  std::vector<Session> sessions;
  for (int i = 0; i < 2; ++i) {
    sessions.push_back(engine.session({.kv_pool = pool}));
    read(sessions.back(), engine.prompt(64));
  }
  const Snapshot before(sessions[0]), other_before(sessions[1]);
  try {
    read_batch(sessions, {1, 2});
    ADD_FAILURE() << "there is room";
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kOutOfBudget);
    EXPECT_NE(std::string(error.what()).find("sessions[1]: the KV pool is full"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(Snapshot(sessions[0]) == before);
  EXPECT_TRUE(Snapshot(sessions[1]) == other_before);
  // What was reserved for the first is there for the second again.
  Session roomy = engine.session();
  read(roomy, engine.prompt(64));
  EXPECT_EQ(read(sessions[1], {2}), read(roomy, {2}));
}

TEST(TokenStep, ATokenIsReadEvenWhenThereIsNoRoomToThin) {
  const Engine engine;
  const std::size_t page = KvPool::create(0, 64, DType::kF32)->page_bytes();
  // 200 tokens take 4 pages of each of 4 heads. The next token copies the last page, which the fork shares, of each;
  // thinning would have to copy others.
  SessionOptions options = {.attention = AttentionMode::kTca, .profile = engine.ragged_profile()};
  Session roomy = engine.session(options);
  options.kv_budget_bytes = 20 * page;
  Session session = engine.session(options);
  roomy.read(engine.prompt(200), {.attention = AttentionMode::kFull});
  session.read(engine.prompt(200), {.attention = AttentionMode::kFull});
  std::optional<Session> fork = session.fork();
  EXPECT_EQ(read(session, {5}), read(roomy, {5}));
  EXPECT_EQ(session.num_tokens(), 201);
  EXPECT_EQ(session.kept_share(), 1);
  EXPECT_LT(roomy.kept_share(), 1);
  fork.reset();
  read(session, {6});
  EXPECT_LT(session.kept_share(), 0.7);
}

TEST(TokenStep, WithoutLogitsTheTokenIsReadAllTheSame) {
  const Engine engine;
  Session a = engine.session(), b = engine.session();
  read(a, engine.prompt(30));
  read(b, engine.prompt(30));
  const std::int32_t id = 4;
  EXPECT_TRUE(a.read(std::span(&id, 1), {.num_logits = 0}).empty());
  read(b, {id});
  EXPECT_EQ(read(a, {5}), read(b, {5}));
}

// ---- A device with a step of its own, played by the CPU ----

/// Of a cache that counts the new token already.
class StepAttention : public LayerAttention {
 public:
  StepAttention(const Backend& backend, const DecodeRow& row) : backend_(backend), row_(row) {}
  void attend(std::int32_t layer, const MutableTensorView& q, const TensorView& k, const TensorView& v) override {
    KvCache& cache = *row_.cache;
    for (std::int32_t h = 0; h < k.num_heads; ++h) {
      const KvPageView page = cache.page(layer, h, cache.num_pages(layer, h) - 1);
      const std::size_t bytes = static_cast<std::size_t>(k.head_dim) * dtype_size(k.dtype);
      const std::size_t offset = static_cast<std::size_t>(page.count - 1) * bytes;
      std::memcpy(static_cast<std::byte*>(const_cast<void*>(page.k)) + offset, k.row(0, h), bytes);
      std::memcpy(static_cast<std::byte*>(const_cast<void*>(page.v)) + offset, v.row(0, h), bytes);
    }
    std::vector<float> lse(static_cast<std::size_t>(q.num_heads));
    const std::size_t bytes = lse.size() * static_cast<std::size_t>(q.head_dim) * dtype_size(q.dtype);
    const auto slot = static_cast<std::size_t>(row_.probe_slot);
    const ProbeTarget target = row_.probes.empty() ? ProbeTarget{} : row_.probes[static_cast<std::size_t>(layer)];
    if (target.queries != nullptr) std::memcpy(static_cast<std::byte*>(target.queries) + slot * bytes, q.data, bytes);
    const DecodeParams params{.q = q, .out = q, .cache = &cache, .layer = layer, .lse = lse};
    backend_.decode_attention(std::span(&params, 1));
    if (target.lse != nullptr) std::copy(lse.begin(), lse.end(), target.lse + slot * lse.size());
  }
  void advanced(std::int64_t) override {}

 private:
  const Backend& backend_;
  const DecodeRow& row_;
};

class StepForward : public Forward {
 public:
  StepForward(const Model& model, const Backend& backend, ThreadPool& pool)
      : forward_(model, pool, 8192), backend_(backend), vocab_(static_cast<std::size_t>(model.config().vocab_size)) {}
  void run(const Segment& segment, LayerAttention& attention) override { forward_.run(segment, attention); }
  void logits(std::int64_t first, std::int64_t count, std::span<float> out) override {
    forward_.logits(first, count, out);
  }
  void release() override { forward_.release(); }
  std::int64_t max_decode_rows() const override { return 2; }
  void decode(std::span<const DecodeRow> rows, std::span<float> out) override {
    ASSERT_LE(std::ssize(rows), max_decode_rows());
    ASSERT_EQ(out.size(), out.empty() ? 0 : rows.size() * vocab_);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(rows[i].cache->pool(), rows[0].cache->pool());
      StepAttention attention(backend_, rows[i]);
      KvCacheAccess::extend(*rows[i].cache);
      forward_.run({.ids = std::span(&rows[i].id, 1), .first_position = rows[i].position}, attention);
      if (!out.empty()) forward_.logits(0, 1, out.subspan(i * vocab_, vocab_));
    }
  }

 private:
  CpuForward forward_;
  const Backend& backend_;
  std::size_t vocab_;
};

class StepDevice : public DeviceModel {
 public:
  StepDevice(std::shared_ptr<const Model> model, const Backend& backend)
      : model_(std::move(model)), backend_(backend) {}
  Memory& memory() const override { return host_memory(); }
  std::size_t weight_bytes() const override { return model_->weight_bytes(); }
  std::unique_ptr<Forward> create_forward(const Model&, ThreadPool& pool, std::int64_t,
                                          const std::optional<Stream>&) const override {
    return std::make_unique<StepForward>(*model_, backend_, pool);
  }

 private:
  std::shared_ptr<const Model> model_;
  const Backend& backend_;
};

TEST(TokenStep, ADevicesOwnStepReadsTheSame) {
  Engine plain({}, ComputeType::kBF16), device({}, ComputeType::kBF16);
  device.model =
      Model::create(device.model->config(), device.model->fingerprint().weights_sha256, device.model->content_hash(),
                    std::make_unique<StepDevice>(device.model, device.backend));
  ASSERT_EQ(device.model->fingerprint(), plain.model->fingerprint());
  std::vector<Session> expected = mixed_sessions(plain), actual = mixed_sessions(device);
  for (int step = 0; step < 80; ++step) {
    const std::vector<std::int32_t> ids = {step, step + 1, step + 2, step + 3, step + 4};
    ASSERT_EQ(read_batch(actual, ids), read_batch(expected, ids)) << "step " << step;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      ASSERT_EQ(held_positions(actual[i].cache()), held_positions(expected[i].cache())) << i << " at step " << step;
    }
  }
  EXPECT_LT(actual[3].kept_share(), 0.6);
  EXPECT_EQ(read(actual[1], {9}), read(expected[1], {9}));
  EXPECT_EQ(read(actual[1], plain.prompt(40)), read(expected[1], plain.prompt(40)));
  const std::int32_t id = 7;
  EXPECT_TRUE(actual[1].read(std::span(&id, 1), {.num_logits = 0}).empty());
  EXPECT_EQ(actual[1].num_tokens(), expected[1].num_tokens() + 1);
}

}  // namespace
}  // namespace tca::runtime
