// Sessions of models on a GPU against sessions of the same models on the CPU. Skipped where there is no GPU.
#include <cuda_runtime.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "core/file.h"
#include "cuda/device.h"
#include "engine/engine_fixture.h"
#include "evaluation/lookup_tasks.h"
#include "runtime/cuda/cuda_model.h"
#include "tca/error.h"

namespace tca::runtime {
namespace {

using test::copy;
using test::Engine;
using test::held_positions;
using test::read;

/// Both sides round to bf16 (8 bits) after every product. Logits of magnitude 10 that went through a few such roundings
/// differ by some tenths at most; their mean difference is far below that.
constexpr double kLargestDifference = 0.6, kMeanDifference = 0.08;

void expect_close(std::span<const float> gpu, std::span<const float> cpu) {
  ASSERT_EQ(gpu.size(), cpu.size());
  double sum = 0, largest_logit = 1;
  for (std::size_t i = 0; i < gpu.size(); ++i) {
    sum += std::abs(static_cast<double>(gpu[i]) - cpu[i]);
    largest_logit = std::max(largest_logit, std::abs(static_cast<double>(cpu[i])));
  }
  const double scale = std::max(1.0, largest_logit / 10);
  EXPECT_LE(test::largest_difference(gpu, cpu), kLargestDifference * scale) << "largest logit " << largest_logit;
  EXPECT_LE(sum / static_cast<double>(gpu.size()), kMeanDifference * scale) << "largest logit " << largest_logit;
}

/// A tiny model on both. `engine` is the CPU's; its products are in bf16 where it has them.
class CudaSession : public testing::Test {
 protected:
  CudaSession() {
    if (!cuda::Device::available()) return;
    cpu_ = std::make_unique<Engine>(test::TinyModelOptions{.hidden = 64, .inner = 128}, ComputeType::kAuto);
    backend_ = create_backend("cuda", cpu_->pool);
    model_ = load_on_gpu(cpu_->files.dir(), cpu_->pool);
  }
  void SetUp() override {
    if (!cuda::Device::available()) GTEST_SKIP() << "there is no usable GPU";
  }
  Session gpu_session(SessionOptions options = {}) const {
    return Session(model_, *backend_, cpu_->pool, std::move(options));
  }
  SessionOptions tca() const { return {.attention = AttentionMode::kTca, .profile = cpu_->ragged_profile()}; }

  std::unique_ptr<Engine> cpu_;
  std::unique_ptr<Backend> backend_;
  std::shared_ptr<const Model> model_;
};

TEST_F(CudaSession, FullAttentionReadsTheSame) {
  Session gpu = gpu_session(), cpu = cpu_->session();
  for (const std::int64_t n : {200, 30, 1, 90}) {
    SCOPED_TRACE(n);
    expect_close(read(gpu, cpu_->prompt(n)), read(cpu, cpu_->prompt(n)));
  }
  for (int i = 0; i < 70; ++i) expect_close(read(gpu, {i}), read(cpu, {i}));
  EXPECT_EQ(held_positions(gpu.cache()), held_positions(cpu.cache()));
  EXPECT_EQ(gpu.kept_share(), 1);
  EXPECT_EQ(gpu.last_read().density, 1);
}

TEST_F(CudaSession, KeepingEverythingEqualsFullAttention) {
  SessionOptions options = tca();
  options.profile = cpu_->profile({BlockShares::full(8)});
  Session sparse = gpu_session(options), full = gpu_session();
  for (const std::int64_t n : {200, 90, 5}) expect_close(read(sparse, cpu_->prompt(n)), read(full, cpu_->prompt(n)));
  for (int i = 0; i < 50; ++i) expect_close(read(sparse, {i}), read(full, {i}));
  EXPECT_EQ(held_positions(sparse.cache()), held_positions(full.cache()));
}

/// Which tokens stay may differ where scores are close; how many may not.
TEST_F(CudaSession, SparseReadsKeepAsManyTokensAndThinAsOften) {
  Session gpu = gpu_session(tca()), cpu = cpu_->session(tca());
  const auto check = [&] {
    for (std::int32_t l = 0; l < 2; ++l) {
      for (std::int32_t h = 0; h < 2; ++h) {
        ASSERT_NEAR(static_cast<double>(gpu.cache().length(l, h)), static_cast<double>(cpu.cache().length(l, h)), 12);
        ASSERT_EQ(gpu.cache().num_tokens(l), cpu.cache().num_tokens(l));
        for (std::int32_t i = 0; i < 24; ++i) {  // the window
          ASSERT_EQ(gpu.cache().position(l, h, gpu.cache().length(l, h) - 1 - i), gpu.num_tokens() - 1 - i);
        }
      }
    }
  };
  read(gpu, cpu_->prompt(400));
  read(cpu, cpu_->prompt(400));
  EXPECT_TRUE(gpu.last_read().sparse);
  check();
  EXPECT_NEAR(gpu.last_read().density, cpu.last_read().density, 0.05);
  read(gpu, cpu_->prompt(60, 2));
  read(cpu, cpu_->prompt(60, 2));
  check();
  for (int i = 0; i < 90; ++i) {
    for (const float logit : read(gpu, {i})) ASSERT_TRUE(std::isfinite(logit));
    read(cpu, {i});
    check();
  }
  EXPECT_LT(gpu.kept_share(), 0.7);
}

TEST_F(CudaSession, SavedOnOneDeviceItGoesOnOnTheOther) {
  const std::string path = (std::filesystem::temp_directory_path() / ("tca_cuda_" + std::to_string(getpid()))).string();
  Session gpu = gpu_session(tca());
  read(gpu, cpu_->prompt(300));
  for (int i = 0; i < 45; ++i) read(gpu, {i});
  gpu.save(path);
  Session again = Session::load(path, model_, *backend_, cpu_->pool, tca());
  EXPECT_EQ(held_positions(again.cache()), held_positions(gpu.cache()));
  if (cpu_->model->precision().kv == DType::kBF16) {  // a cache in fp32 is another file
    Session cpu = Session::load(path, cpu_->model, cpu_->backend, cpu_->pool, tca());
    EXPECT_EQ(cpu.tokens(), gpu.tokens());
    EXPECT_EQ(held_positions(cpu.cache()), held_positions(gpu.cache()));
    cpu.save(path);  // before it reads anything
    Session back = Session::load(path, model_, *backend_, cpu_->pool, tca());
    expect_close(read(cpu, {7}), read(back, {7}));
    back = Session::load(path, model_, *backend_, cpu_->pool, tca());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(read(back, {i}), read(again, {i})) << "nothing is lost on the way";
  }
  std::filesystem::remove(path);
}

TEST_F(CudaSession, ForksGoTheirOwnWay) {
  Session session = gpu_session(tca());
  read(session, cpu_->prompt(150));
  Session fork = session.fork(), same = session.fork();
  for (int i = 0; i < 40; ++i) read(fork, {50});
  for (int i = 0; i < 40; ++i) EXPECT_EQ(read(session, {i}), read(same, {i})) << i;
  EXPECT_EQ(held_positions(session.cache()), held_positions(same.cache()));
}

TEST_F(CudaSession, ABatchReadsWhatEverySessionWouldReadAlone) {
  SessionOptions options = tca();
  options.kv_pool = backend_->create_kv_pool(std::size_t{64} << 20, 64, DType::kBF16);
  std::vector<Session> sessions;
  for (const std::int64_t n : {300, 5, 64}) {
    sessions.push_back(gpu_session(options));
    read(sessions.back(), cpu_->prompt(n));
  }
  sessions.push_back(sessions[0].fork());
  sessions.push_back(gpu_session());  // a pool of its own
  std::vector<Session> alone;
  std::vector<Session*> pointers;
  for (Session& session : sessions) {
    alone.push_back(session.fork());
    pointers.push_back(&session);
  }
  for (int step = 0; step < 70; ++step) {
    std::vector<std::int32_t> ids;
    for (std::size_t i = 0; i < sessions.size(); ++i) ids.push_back((step + 7 * static_cast<std::int32_t>(i)) % 97);
    const std::vector<float> logits = copy(Session::read_batch(pointers, ids));
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      SCOPED_TRACE(testing::Message() << "session " << i << " at step " << step);
      expect_close(std::span(logits).subspan(97 * i, 97), read(alone[i], {ids[i]}));
      ASSERT_EQ(sessions[i].tokens(), alone[i].tokens());
    }
  }
}

/// What one of several threads reads: prompts, single tokens, recorded ones among them.
std::vector<std::vector<float>> conversation(Session session, const Engine& engine, std::int64_t n) {
  std::vector<std::vector<float>> said;
  for (const std::int64_t tokens : {n, n / 2, n}) said.push_back(read(session, engine.prompt(tokens)));
  for (int i = 0; i < 20; ++i) said.push_back(read(session, {static_cast<std::int32_t>(i + n) % 97}));
  return said;
}

TEST_F(CudaSession, FourThreadsReadWhatOneDoes) {
  std::vector<std::vector<std::vector<float>>> alone;
  for (std::int64_t t = 0; t < 4; ++t) alone.push_back(conversation(gpu_session(tca()), *cpu_, 150 + 40 * t));
  for (int round = 0; round < 3; ++round) {
    std::vector<std::vector<std::vector<float>>> together(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back(
          [&, t] { together[t] = conversation(gpu_session(tca()), *cpu_, 150 + 40 * static_cast<std::int64_t>(t)); });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::size_t t = 0; t < 4; ++t) ASSERT_EQ(together[t], alone[t]) << "thread " << t << ", round " << round;
  }
}

/// A backend on a stream of the caller's.
struct OwnStream {
  explicit OwnStream(ThreadPool& pool) {
    cuda::check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
    backend = create_backend("cuda", pool, Stream{.device = 0, .handle = stream});
  }
  ~OwnStream() {
    backend.reset();
    (void)cudaStreamDestroy(stream);
  }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  cudaStream_t stream = nullptr;
  std::unique_ptr<Backend> backend;
};

TEST_F(CudaSession, SessionsOnStreamsOfTheirOwnReadWhatOneDoes) {
  const auto expected = conversation(gpu_session(tca()), *cpu_, 200);
  const OwnStream streams[2] = {OwnStream(cpu_->pool), OwnStream(cpu_->pool)};
  std::vector<std::vector<std::vector<float>>> actual(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {  // two on each stream
    threads.emplace_back(
        [&, t] { actual[t] = conversation(Session(model_, *streams[t % 2].backend, cpu_->pool, tca()), *cpu_, 200); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& each : actual) EXPECT_EQ(each, expected);
}

TEST_F(CudaSession, APoolOfAnotherStreamIsRefused) {
  const OwnStream own(cpu_->pool);
  SessionOptions options;
  options.kv_pool = own.backend->create_kv_pool(std::size_t{64} << 20, 64, DType::kBF16);
  try {
    (void)gpu_session(options);
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("another stream"), std::string::npos) << error.what();
  }
}

TEST_F(CudaSession, TwoGpusReadAlike) {
  if (!cuda::Device::available(1)) GTEST_SKIP() << "needs two NVIDIA GPUs";
  const auto backend = create_backend("cuda:1", cpu_->pool);
  const auto model = load_on_gpu(cpu_->files.dir(), cpu_->pool, {.device = 1});
  const auto first = conversation(gpu_session(), *cpu_, 200);
  const auto second = conversation(Session(model, *backend, cpu_->pool, {}), *cpu_, 200);
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t i = 0; i < first.size(); ++i) expect_close(second[i], first[i]);
  EXPECT_THROW(Session(model, *backend_, cpu_->pool, {}), Error);
}

TEST_F(CudaSession, ToleranceAndCertificate) {
  SessionOptions options = tca();
  options.tolerance = 0;
  options.certify = true;
  Session strict = gpu_session(options);
  read(strict, cpu_->prompt(300));
  EXPECT_EQ(strict.kept_share(), 1);
  EXPECT_EQ(strict.certificate()->raised_heads, 3);
  options.tolerance.reset();
  Session plain = gpu_session(options);
  read(plain, cpu_->prompt(300));
  EXPECT_EQ(plain.certificate()->layers[0][0].max_delta, 0);
  EXPECT_GT(plain.certificate()->layers[1][0].max_delta, 0.01);
}

TEST_F(CudaSession, ACancelledReadLeavesTheSessionAsItWas) {
  Session session = gpu_session(tca()), undisturbed = gpu_session(tca());
  read(session, cpu_->prompt(100));
  read(undisturbed, cpu_->prompt(100));
  const std::size_t used = session.cache().pool()->used_bytes();
  const Progress stop = [](std::int64_t done, std::int64_t total) { return done < total; };  // at the very end
  EXPECT_THROW(session.read(cpu_->prompt(500, 2), {.progress = stop}), Error);
  EXPECT_EQ(session.num_tokens(), 100);
  EXPECT_EQ(session.cache().pool()->used_bytes(), used);
  EXPECT_EQ(read(session, {3}), read(undisturbed, {3}));
}

TEST_F(CudaSession, AModelOnTheGpuNeedsItsBackend) {
  EXPECT_THROW(Session(model_, cpu_->backend, cpu_->pool, {}), Error);
}

/// Answers of the shipped model: greedy, token by token.
std::vector<std::int32_t> answer(Session session, const std::vector<std::int32_t>& question, std::size_t count) {
  std::vector<std::int32_t> ids;
  std::vector<float> logits = read(session, question);
  while (ids.size() < count) {
    ids.push_back(static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    logits = read(session, {ids.back()});
  }
  return ids;
}

TEST(CudaShippedModel, AnswersAsTheCpuDoes) {
  if (!cuda::Device::available()) GTEST_SKIP() << "there is no usable GPU";
  const std::string dir = TCA_SOURCE_DIR "/models/lookback-28m";
  ThreadPool pool;
  const auto cpu_backend = create_backend("cpu", pool), gpu_backend = create_backend("cuda", pool);
  const auto cpu_model = Model::load(dir, pool), gpu_model = load_on_gpu(dir, pool);
  const Tokenizer tokenizer = Tokenizer::load(dir);
  const evaluation::LookupDocument document =
      evaluation::make_lookup_document(tokenizer, ChatFrames(ChatTemplate::load(dir, tokenizer)),
                                       read_file(TCA_SOURCE_DIR "/examples/data/michael-armstrong.txt", 4 << 20),
                                       {.context_tokens = 6000, .num_facts = 8, .random_start = true, .seed = 100});
  SessionOptions options;
  options.profile = std::make_shared<Profile>(Profile::load(dir + "/profile.json"));
  options.max_context = 8192;
  for (const AttentionMode mode : {AttentionMode::kFull, AttentionMode::kTca}) {
    options.attention = mode;
    Session cpu(cpu_model, *cpu_backend, pool, options), gpu(gpu_model, *gpu_backend, pool, options);
    const std::vector<float> expected = read(cpu, document.context);
    const std::vector<float> actual = read(gpu, document.context);
    if (mode == AttentionMode::kFull) expect_close(actual, expected);
    EXPECT_NEAR(gpu.kept_share(), cpu.kept_share(), 0.01);
    int same = 0, right = 0;
    for (std::size_t i = 0; i < document.questions.size(); ++i) {
      const std::size_t count = document.answers[i].size();
      const auto said = answer(gpu.fork(), document.questions[i], count);
      same += said == answer(cpu.fork(), document.questions[i], count) ? 1 : 0;
      right += said == document.answers[i] ? 1 : 0;
    }
    // One answer in eight may hang on a near tie.
    EXPECT_GE(same, 7);
    EXPECT_GE(right, 6);
  }
}

}  // namespace
}  // namespace tca::runtime
