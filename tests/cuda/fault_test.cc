// GPU memory that runs out: every operation of a cache on a GPU with every allocation failing once, page tables after a
// failed growth, and memory that is free as soon as the GPU has done what is queued.
#include <cuda_runtime.h>

#include <functional>
#include <sstream>
#include <string_view>

#include "core/kv_cache_impl.h"
#include "core/kv_savepoint.h"
#include "core/temporary_folder.h"
#include "cuda/faults.h"
#include "cuda/gpu.h"
#include "cuda/kv/device_pages.h"
#include "cuda/kv/page_tables.h"
#include "tca/error.h"

namespace tca::cuda_test {
namespace {

constexpr KvShape kShape = {.num_layers = 2, .num_kv_heads = 2, .head_dim = 64, .dtype = DType::kBF16};

/// Segments of every kind of memory and dtype that a store takes.
struct Inputs {
  static Inputs of(DType dtype, std::int64_t tokens) {
    Inputs inputs{HostTensor::random(1, dtype, tokens, 2, 64), HostTensor::random(2, dtype, tokens, 2, 64), {}, {}};
    inputs.k_there = std::make_unique<GpuBytes>(inputs.k.bytes);
    inputs.v_there = std::make_unique<GpuBytes>(inputs.v.bytes);
    return inputs;
  }
  TensorView gpu_k() const { return k_there->view(k.shape); }
  TensorView gpu_v() const { return v_there->view(v.shape); }
  HostTensor k, v;
  std::unique_ptr<GpuBytes> k_there, v_there;
};

/// caches[0] is operated on; with `shared` caches[1] has all of its pages too.
struct World {
  World(const Backend& backend, bool shared) : pool(backend.create_kv_pool(std::size_t{64} << 20, 64, DType::kBF16)) {
    caches.reserve(3);
    KvCache& cache = caches.emplace_back(pool, kShape);
    Inputs first = Inputs::of(DType::kBF16, 100), second = Inputs::of(DType::kF32, 28);
    for (const std::int32_t layer : {0, 1}) cache.store(layer, first.gpu_k(), first.gpu_v());
    cache.thin(0, 1, 70, std::vector<std::int32_t>{0, 3, 4, 69});
    for (const std::int32_t layer : {0, 1}) cache.store(layer, second.k.view(), second.v.view());
    if (shared) caches.push_back(cache.fork());
  }
  std::shared_ptr<KvPool> pool;
  std::vector<KvCache> caches;
  std::int32_t unwritten = 0;  // last tokens of caches[0] whose rows nobody has written
};

/// All that can be asked of caches and pool; page numbers tell that pages are the same, not only alike.
std::string state(const World& world, bool with_numbers) {
  std::ostringstream all;
  KvPages& pages = KvPoolAccess::pages(*world.pool);
  all << world.pool->used_bytes() << " bytes used\n";
  std::vector<std::byte> rows(2 * kPageTokens * pages.row_bytes);
  for (const KvCache& cache : world.caches) {
    const auto& impl = KvCacheAccess::impl(cache);
    all << "limit " << cache.truncation_limit() << ", " << impl.spare.size() << " reserved\n";
    for (std::int32_t l = 0; l < kShape.num_layers; ++l) {
      all << cache.num_tokens(l) << " tokens\n";
      for (std::int32_t h = 0; h < kShape.num_kv_heads; ++h) {
        const KvList& list = impl.list(l, h);
        all << "tail " << list.tail_begin << ":";
        for (std::size_t p = 0; p < list.pages.size(); ++p) {
          const std::int32_t count = list.tokens_in_page(p);
          const bool last = &cache == &world.caches[0] && p + 1 == list.pages.size();
          const std::int32_t written = count - (last ? world.unwritten : 0);
          const std::size_t half = static_cast<std::size_t>(written) * pages.row_bytes;
          pages.read_rows(list.pages[p], written, rows.data(), rows.data() + half);
          if (with_numbers) all << " page " << list.pages[p]->number;
          for (std::int32_t i = 0; i < count; ++i) all << " " << pages.positions(list.pages[p])[i];
          all << " " << std::hash<std::string_view>()({reinterpret_cast<const char*>(rows.data()), 2 * half}) << "\n";
        }
      }
    }
  }
  return all.str();
}

struct Outcome {
  bool failed = false, threw = false;
};
template <class Action>
Outcome run_with_fault(std::int64_t n, const Action& action) {
  Outcome outcome;
  cuda::fail_nth_allocation(n);
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kOutOfBudget) << error.what();
    outcome.threw = true;
  }
  outcome.failed = cuda::allocation_has_failed();
  cuda::fail_nth_allocation(0);
  return outcome;
}

class FaultTest : public GpuTest {
 protected:
  using Operation = std::function<void(World&)>;

  void check(const char* name, const Operation& operation) {
    const auto backend = this->backend();
    for (const bool shared : {false, true}) {
      World undisturbed(*backend, shared);
      operation(undisturbed);
      const std::string expected = state(undisturbed, false);
      for (std::int64_t n = 1;; ++n) {
        SCOPED_TRACE(std::string(name) + (shared ? ", shared" : "") + ", allocation " + std::to_string(n));
        World world(*backend, shared);
        const std::string before = state(world, true);
        const Outcome outcome = run_with_fault(n, [&] { operation(world); });
        ASSERT_EQ(outcome.threw, outcome.failed);
        if (outcome.threw) {
          ASSERT_EQ(state(world, true), before);
          operation(world);
        }
        ASSERT_EQ(state(world, false), expected);
        if (!outcome.failed) break;
      }
    }
  }
};

TEST_F(FaultTest, EveryOperationSucceedsOrChangesNothing) {
  for (const DType dtype : {DType::kBF16, DType::kF32}) {
    const Inputs in = Inputs::of(dtype, 150);
    HostTensor k = in.k, v = in.v;
    check("store from the GPU", [&](World& world) { world.caches[0].store(0, in.gpu_k(), in.gpu_v()); });
    check("store from the host", [&](World& world) { world.caches[0].store(1, k.view(), v.view()); });
    const KeptSet kept(150, {0, 3, 4}, {1, 64, 70, 0});
    check("store what is kept", [&](World& world) { world.caches[0].store(0, in.gpu_k(), in.gpu_v(), &kept, 40); });
  }
  check("thin", [](World& world) { world.caches[0].thin(1, 0, 100, std::vector<std::int32_t>{0, 1, 5, 64, 98}); });
  check("extend", [](World& world) {
    KvCacheAccess::extend(world.caches[0]);
    world.unwritten = 1;
  });
  check("reserve", [](World& world) { world.caches[0].reserve(300); });
  check("fork", [](World& world) { world.caches.push_back(world.caches[0].fork()); });
  check("truncate", [](World& world) { world.caches[0].truncate(110); });
  check("a token given up", [](World& world) {
    const KvSavepoint savepoint(world.caches[0]);
    world.caches[0].reserve(1);
    KvCacheAccess::extend(world.caches[0]);
  });
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("cache");
  World(*backend(), false).caches[0].save(path, "");
  check("load", [&](World& world) { world.caches.push_back(KvCache::load(path, world.pool, nullptr)); });
}

TEST_F(FaultTest, AChunkThatCannotBeMappedIsNoPage) {
  cuda::DevicePages pages(cuda::Device::get(), std::size_t{128} << 20, 64, DType::kBF16);
  // All but one page of the first chunk.
  std::vector<KvPage*> held = pages.acquire(1);
  const auto in_chunk = static_cast<std::int64_t>(pages.mapped_bytes() / pages.page_bytes);
  for (KvPage* page : pages.acquire(in_chunk - 2)) held.push_back(page);
  const std::size_t mapped = pages.mapped_bytes(), used = pages.used.load();
  const Outcome outcome = run_with_fault(1, [&] { held.push_back(pages.acquire(2)[0]); });
  EXPECT_TRUE(outcome.threw);
  EXPECT_EQ(pages.mapped_bytes(), mapped);
  EXPECT_EQ(pages.used.load(), used);
  for (KvPage* page : pages.acquire(2)) held.push_back(page);
  EXPECT_EQ(pages.mapped_bytes(), 2 * mapped);
  for (KvPage* page : held) pages.release(page);
}

// ---- Page tables ----

constexpr KvShape kOneLayer = {.num_layers = 1, .num_kv_heads = 2, .head_dim = 64, .dtype = DType::kBF16};

std::vector<std::byte> attend(const Backend& backend, const KvCache& cache) {
  HostTensor q = HostTensor::random(9, DType::kBF16, 1, 4, 64), out(DType::kBF16, 1, 4, 64);
  const DecodeParams params{.q = q.view(), .out = out.view(), .cache = &cache};
  backend.decode_attention({&params, 1});
  return out.bytes;
}

void store(KvCache& cache, std::uint32_t seed, std::int64_t tokens) {
  HostTensor k = HostTensor::random(seed, DType::kBF16, tokens, 2, 64),
             v = HostTensor::random(seed + 1, DType::kBF16, tokens, 2, 64);
  cache.store(0, k.view(), v.view());
}

TEST_F(FaultTest, PageTablesThatCouldNotGrowAreRightTheNextTime) {
  const auto backend = this->backend();
  const auto pool = backend->create_kv_pool(std::size_t{64} << 20, 64, DType::kBF16);
  bool failed = true;
  for (std::int64_t n = 1; failed; ++n) {
    KvCache cache(pool, kOneLayer);
    for (const std::int64_t tokens : {100, 4096, 4096}) {  // no table, a full one, and one that is copied
      store(cache, static_cast<std::uint32_t>(tokens), tokens);
      failed = run_with_fault(n, [&] { attend(*backend, cache); }).failed;
      ASSERT_EQ(attend(*backend, cache), attend(*backend, cache.fork())) << tokens << " more, allocation " << n;
    }
  }
}

TEST_F(FaultTest, AnUpdateThatIsGivenUpForOneCacheLeavesTheOthersBehindButRight) {
  const auto backend = this->backend();
  const auto pool = backend->create_kv_pool(std::size_t{64} << 20, 64, DType::kBF16);
  auto& pages = static_cast<cuda::DevicePages&>(KvPoolAccess::pages(*pool));
  bool failed = true;
  for (std::int64_t n = 1; failed; ++n) {
    KvCache a(pool, kOneLayer), b(pool, kOneLayer);
    for (KvCache* cache : {&a, &b}) store(*cache, 1, 100);
    attend(*backend, a);
    attend(*backend, b);
    store(a, 3, 200);
    store(b, 5, 5000);  // its table grows
    failed = run_with_fault(n, [&] {
               cuda::PageTableUpdate update(pages);
               update.add(a, 0, 1);
               update.add(b, 0, 1);
               update.run();
             }).failed;
    ASSERT_EQ(attend(*backend, a), attend(*backend, a.fork())) << "allocation " << n;
    ASSERT_EQ(attend(*backend, b), attend(*backend, b.fork())) << "allocation " << n;
  }
}

TEST_F(FaultTest, PagesThatASavepointTookBackAreSentAgain) {
  const auto backend = this->backend();
  const auto pool = backend->create_kv_pool(std::size_t{64} << 20, 64, DType::kBF16);
  KvCache cache(pool, kOneLayer);
  store(cache, 1, 100);
  KvCache fork = cache.fork();
  {
    const KvSavepoint savepoint(cache);
    store(cache, 3, 500);
    attend(*backend, cache);  // the GPU knows these pages now
  }
  store(fork, 5, 300);  // takes them
  EXPECT_EQ(attend(*backend, cache), attend(*backend, cache.fork()));
  store(cache, 7, 400);
  EXPECT_EQ(attend(*backend, cache), attend(*backend, cache.fork()));
  cache.truncate(130);
  store(cache, 9, 400);
  EXPECT_EQ(attend(*backend, cache), attend(*backend, cache.fork()));
}

// ---- Memory that is about to be free ----

/// Leaves so many bytes of the GPU's memory to everybody else.
struct Filler {
  explicit Filler(std::size_t left) {
    cuda::Device::get()->reclaim();
    std::size_t free_bytes = 0, total = 0;
    cuda::check(cudaMemGetInfo(&free_bytes, &total), "asking for its memory");
    if (free_bytes > left) cuda::check(cudaMalloc(&memory, free_bytes - left), "filling its memory");
  }
  ~Filler() { (void)cudaFree(memory); }
  Filler(const Filler&) = delete;
  Filler& operator=(const Filler&) = delete;
  void* memory = nullptr;
};

constexpr std::size_t kMiB = std::size_t{1} << 20;

/// Memory that is freed while the GPU still has work with it.
void use_and_free(std::size_t bytes) {
  MemoryBlock block(cuda::Device::get()->memory());
  block.reserve(bytes);
  for (int i = 0; i < 100; ++i) {
    cuda::check(cudaMemsetAsync(block.data(), i, bytes, cuda::Device::get()->stream()), "writing");
  }
}

TEST_F(FaultTest, PagesWaitForMemoryThatIsStillToBeFreed) {
  cuda::DevicePages pages(cuda::Device::get(), 1024 * kMiB, 128, DType::kBF16);
  const Filler filler(1536 * kMiB);
  use_and_free(1024 * kMiB);
  const std::vector<KvPage*> all = pages.acquire(static_cast<std::int64_t>(896 * kMiB / pages.page_bytes));
  for (KvPage* page : all) pages.release(page);
}

TEST_F(FaultTest, AllocationsWaitForMemoryThatIsStillToBeFreed) {
  const Filler filler(1536 * kMiB);
  for (int i = 0; i < 4; ++i) use_and_free(256 * kMiB);
  use_and_free(1152 * kMiB);
  use_and_free(1216 * kMiB);
}

TEST_F(FaultTest, AnAllocationThatFailsSaysSoAndLeavesTheGpuUsable) {
  const auto backend = this->backend();
  MemoryBlock block(cuda::Device::get()->memory());
  try {
    block.reserve(std::size_t{1} << 45);
    ADD_FAILURE() << "there are 32 TiB";
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kOutOfBudget);
    EXPECT_NE(std::string(error.what()).find("35184372088832 bytes"), std::string::npos) << error.what();
  }
  World world(*backend, false);
  EXPECT_EQ(attend(*backend, world.caches[0]), attend(*backend, world.caches[0].fork()));
}

}  // namespace
}  // namespace tca::cuda_test
