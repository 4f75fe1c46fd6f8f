// The order of work: a backend does everything on its stream and waits for nothing, backends on two streams work at
// once, and what they share is ordered between them.
#include <cuda_runtime.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <thread>

#include "cuda/gpu.h"
#include "cuda/spin.h"
#include "tca/error.h"

namespace tca::cuda_test {
namespace {

constexpr std::int32_t kHeads = 4, kKvHeads = 2, kDim = 128;
constexpr std::int64_t kTokens = 600;
constexpr int kBusy = 200;  // milliseconds; what is tested takes less than one

/// A stream of the caller's.
class OwnStream {
 public:
  OwnStream() { cuda::check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "making a stream"); }
  ~OwnStream() { (void)cudaStreamDestroy(handle_); }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  cudaStream_t handle() const { return handle_; }
  Stream id() const { return {.device = 0, .handle = handle_}; }
  bool is_busy() const { return cudaStreamQuery(handle_) == cudaErrorNotReady; }

 private:
  cudaStream_t handle_ = nullptr;
};

/// Tensors in the GPU's memory, and what each operation makes of them.
struct Problem {
  explicit Problem(std::uint32_t seed)
      : q(HostTensor::random(seed, DType::kBF16, kTokens, kHeads, kDim)),
        k(HostTensor::random(seed + 1, DType::kBF16, kTokens, kKvHeads, kDim)),
        v(HostTensor::random(seed + 2, DType::kBF16, kTokens, kKvHeads, kDim)),
        out(DType::kBF16, kTokens, kHeads, kDim),
        one(DType::kBF16, 1, kHeads, kDim),
        q_there(q.bytes),
        k_there(k.bytes),
        v_there(v.bytes),
        out_there(out.bytes),
        one_there(one.bytes) {}

  KvCache cache(const Backend& backend) const {
    return {backend.create_kv_pool(std::size_t{16} << 20, kDim, DType::kBF16),
            {.num_layers = 1, .num_kv_heads = kKvHeads, .head_dim = kDim, .dtype = DType::kBF16}};
  }
  KeptSet select(const Backend& backend) const {
    BlockShares quarter = BlockShares::window(16);
    quarter.share.front() = 0.75;
    quarter.share.back() = 0.25;
    const std::vector<BlockShares> shares(kKvHeads, quarter);
    return backend.select({.q = TensorView(q_there.view(q.shape)).tokens(kTokens - 32, 32),
                           .k = k_there.view(k.shape),
                           .shares = shares,
                           .rule = {.block_size = 16, .window = 32}});
  }
  void prefill(const Backend& backend, const KeptSet* kept = nullptr) const {
    const PrefillParams params = {.q = q_there.view(q.shape),
                                  .k = k_there.view(k.shape),
                                  .v = v_there.view(v.shape),
                                  .out = out_there.view(out.shape),
                                  .kept = kept,
                                  .window = 32};
    backend.prefill_attention({&params, 1});
  }
  void store(KvCache& cache, const KeptSet* kept = nullptr) const {
    cache.store(0, k_there.view(k.shape), v_there.view(v.shape), kept, 32);
  }
  void decode(const Backend& backend, const KvCache& cache) const {
    const DecodeParams params = {.q = TensorView(q_there.view(q.shape)).tokens(kTokens - 1, 1),
                                 .out = one_there.view(one.shape),
                                 .cache = &cache};
    backend.decode_attention({&params, 1});
  }

  HostTensor q, k, v, out, one;
  GpuBytes q_there, k_there, v_there, out_there, one_there;
};

class StreamTest : public GpuTest {
 protected:
  std::unique_ptr<Backend> on(const OwnStream& stream) { return create_backend("cuda", pool_, stream.id()); }
};

/// Those that tell by a stream that is still busy: not for tools under which everything takes long.
class StreamOrderTest : public StreamTest {};

TEST_F(StreamTest, ABackendSaysWhereItWorks) {
  const OwnStream stream;
  EXPECT_EQ(on(stream)->stream(), stream.id());
  EXPECT_EQ(on(stream)->create_kv_pool(1 << 20, kDim, DType::kBF16)->stream(), stream.id());
  EXPECT_EQ(create_backend("cuda:0", pool_, stream.id())->stream(), stream.id());
  const auto plain = create_backend("cuda", pool_), same = create_backend("cuda:0", pool_);
  ASSERT_TRUE(plain->stream().has_value());
  EXPECT_EQ(plain->stream(), same->stream());
  EXPECT_NE(plain->stream()->handle, nullptr);
}

TEST_F(StreamTest, ResultsAreThoseOfTheLibrarysStream) {
  const Problem problem(10);
  const auto plain = backend();
  const OwnStream stream;
  const auto own = on(stream), legacy = create_backend("cuda", pool_, Stream{});
  EXPECT_EQ(legacy->stream(), Stream{});
  const auto results = [&](const Backend& backend) {
    KvCache cache = problem.cache(backend);
    const KeptSet kept = problem.select(backend);
    problem.prefill(backend, &kept);
    problem.store(cache, &kept);
    problem.decode(backend, cache);
    backend.synchronize();
    return std::pair(problem.out_there.read(), problem.one_there.read());
  };
  const auto expected = results(*plain);
  EXPECT_EQ(results(*own), expected);
  EXPECT_EQ(results(*legacy), expected);
}

TEST_F(StreamTest, StreamsThatCannotBeAreRefused) {
  const auto message = [&](const char* name, const Stream& stream) -> std::string {
    try {
      (void)create_backend(name, pool_, stream);
    } catch (const Error& error) {
      return error.what();
    }
    return "made";
  };
  EXPECT_NE(message("cuda", {.device = 0, .handle = cudaStreamPerThread}).find("cudaStreamPerThread"),
            std::string::npos);
  EXPECT_NE(message("cuda", {.device = 99}).find("GPU 99"), std::string::npos);
  EXPECT_NE(message("cuda:1", {.device = 0}).find("cuda:1"), std::string::npos);
}

/// Behind a stream that is busy: the calls return while it is, and their work comes after what it was given before.
TEST_F(StreamOrderTest, NothingWaits) {
  const Problem problem(20), other(30);
  const OwnStream stream;
  const auto own = on(stream);
  KvCache cache = problem.cache(*own);
  const auto copy = [&](const GpuBytes& from, const GpuBytes& to) {
    cuda::check(
        cudaMemcpyAsync(to.block.data(), from.block.data(), from.size, cudaMemcpyDeviceToDevice, stream.handle()),
        "copying");
  };
  const auto run = [&] {
    const KeptSet kept = problem.select(*own);
    problem.prefill(*own, &kept);
    problem.store(cache);
    problem.decode(*own, cache);
  };
  run();  // loads kernels and takes memory, which may wait
  own->synchronize();
  const std::vector<std::byte> expected = problem.out_there.read(), expected_one = problem.one_there.read();
  cache.clear();
  // Its inputs are another problem's until the stream comes to it.
  const Problem input(20);
  copy(other.k_there, problem.k_there);
  own->synchronize();
  spin(stream.handle(), kBusy);
  copy(input.k_there, problem.k_there);
  run();
  EXPECT_TRUE(stream.is_busy());
  own->synchronize();
  EXPECT_FALSE(stream.is_busy());
  EXPECT_EQ(problem.out_there.read(), expected);
  EXPECT_EQ(problem.one_there.read(), expected_one);
}

/// What a cache holds is accounted for on the host, which waits for the choice, but for nothing behind it.
TEST_F(StreamOrderTest, StoringWhatWasChosenWaitsForTheChoiceAlone) {
  const Problem problem(25);
  const OwnStream stream;
  const auto own = on(stream);
  KvCache cache = problem.cache(*own);
  const auto run = [&](int busy) {
    cache.clear();
    const KeptSet kept = problem.select(*own);
    problem.prefill(*own, &kept);
    if (busy > 0) spin(stream.handle(), busy);
    problem.store(cache, &kept);
    problem.decode(*own, cache);
    return kept;
  };
  const KeptSet expected = run(0);
  own->synchronize();
  const std::vector<std::byte> expected_one = problem.one_there.read();
  const KeptSet kept = run(kBusy);
  EXPECT_TRUE(stream.is_busy());
  EXPECT_EQ(kept, expected);
  EXPECT_EQ(cache.length(0, 0),
            std::ssize(kept.head(0)) + 32 -
                std::count_if(kept.head(0).begin(), kept.head(0).end(), [](auto p) { return p >= kTokens - 32; }));
  EXPECT_TRUE(stream.is_busy());
  own->synchronize();
  EXPECT_EQ(problem.one_there.read(), expected_one);
}

TEST_F(StreamOrderTest, TwoStreamsWorkAtOnce) {
  const Problem problem(40);
  const OwnStream busy, free;
  const auto first = on(busy), second = on(free);
  problem.prefill(*second);
  second->synchronize();
  const std::vector<std::byte> expected = problem.out_there.read();
  const Problem again(40);
  spin(busy.handle(), kBusy);
  problem.prefill(*first);
  again.prefill(*second);
  second->synchronize();
  EXPECT_TRUE(busy.is_busy());
  EXPECT_EQ(again.out_there.read(), expected);
  first->synchronize();
  EXPECT_EQ(problem.out_there.read(), expected);
}

/// What is queued on the pool's stream comes before a reader's work on another one, and what follows there behind it.
TEST_F(StreamOrderTest, ACacheIsReadOnAnotherStream) {
  const Problem problem(50), other(60);
  const OwnStream pool_stream, reader_stream;
  const auto owner = on(pool_stream), reader = on(reader_stream);
  KvCache cache = problem.cache(*owner);
  problem.store(cache);
  problem.decode(*owner, cache);
  owner->synchronize();
  const std::vector<std::byte> expected = problem.one_there.read();
  cache.clear();
  other.store(cache);  // in the same pages
  owner->synchronize();
  cache.clear();

  spin(pool_stream.handle(), kBusy);
  problem.store(cache);
  spin(reader_stream.handle(), kBusy);
  problem.decode(*reader, cache);
  cache.clear();
  other.store(cache);  // over what the reader is yet to read
  EXPECT_TRUE(pool_stream.is_busy());
  EXPECT_TRUE(reader_stream.is_busy());
  reader->synchronize();
  EXPECT_EQ(problem.one_there.read(), expected);
  owner->synchronize();
}

TEST_F(StreamOrderTest, AKeptSetIsUsedOnAnotherStream) {
  const Problem problem(70);
  const OwnStream first_stream, second_stream;
  const auto first = on(first_stream), second = on(second_stream);
  const KeptSet expected_set = problem.select(*first);
  problem.prefill(*second, &expected_set);  // takes memory, which may wait
  second->synchronize();
  problem.prefill(*first, &expected_set);
  first->synchronize();
  ASSERT_FALSE(expected_set.positions().empty());
  const std::vector<std::byte> expected = problem.out_there.read();
  spin(first_stream.handle(), kBusy);
  const KeptSet kept = problem.select(*first);
  problem.prefill(*second, &kept);
  EXPECT_TRUE(first_stream.is_busy());
  second->synchronize();
  EXPECT_EQ(problem.out_there.read(), expected);
  EXPECT_EQ(kept, expected_set);
}

TEST_F(StreamTest, ThreadsAndStreamsChangeNothing) {
  constexpr std::uint32_t kThreads = 4;
  std::vector<std::vector<std::byte>> expected(kThreads), actual(kThreads);
  const auto work = [&](std::uint32_t t, const Backend& backend, int times) {
    const Problem problem(100 + 10 * t);
    KvCache cache = problem.cache(backend);
    for (int i = 0; i < times; ++i) {
      cache.clear();
      const KeptSet kept = problem.select(backend);
      problem.prefill(backend, &kept);
      problem.store(cache, &kept);
      problem.decode(backend, cache);
    }
    backend.synchronize();
    std::vector<std::byte> result = problem.out_there.read();
    const std::vector<std::byte> one = problem.one_there.read();
    result.insert(result.end(), one.begin(), one.end());
    return result;
  };
  const auto plain = backend();
  for (std::uint32_t t = 0; t < kThreads; ++t) expected[t] = work(t, *plain, 1);
  // Two threads on a stream each, two on one.
  const OwnStream a, b, shared;
  std::vector<std::unique_ptr<Backend>> backends;
  for (const OwnStream* stream : {&a, &b, &shared, &shared}) backends.push_back(on(*stream));
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] { actual[t] = work(t, *backends[t], 20); });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::uint32_t t = 0; t < kThreads; ++t) EXPECT_EQ(actual[t], expected[t]) << t;
}

TEST_F(StreamTest, TwoThreadsReadOneCache) {
  const Problem problem(80);
  const OwnStream pool_stream, a, b;
  const auto owner = on(pool_stream), first = on(a), second = on(b);
  KvCache cache = problem.cache(*owner);
  problem.store(cache);
  problem.decode(*owner, cache);
  owner->synchronize();
  const std::vector<std::byte> expected = problem.one_there.read();
  const auto read = [&](const Backend& backend) {
    const Problem own(80);
    for (int i = 0; i < 50; ++i) {
      own.decode(backend, cache);
      backend.synchronize();
      if (own.one_there.read() != expected) return false;
    }
    return true;
  };
  bool right[2] = {false, false};
  std::thread other([&] { right[1] = read(*second); });
  right[0] = read(*first);
  other.join();
  EXPECT_TRUE(right[0] && right[1]);
}

}  // namespace
}  // namespace tca::cuda_test
