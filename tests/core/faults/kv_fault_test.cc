// Every operation of a KV cache with every allocation failing once, on the host and on pages like a device's: nothing
// has changed then, and a second try gives what an undisturbed cache has.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <new>
#include <sstream>

#include "core/check.h"
#include "core/faults/failing_new.h"
#include "core/faults/faulty_pages.h"
#include "core/kv_model.h"
#include "core/kv_savepoint.h"
#include "core/temporary_folder.h"

namespace tca::testing {
namespace {

constexpr KvShape kShape = {.num_layers = 2, .num_kv_heads = 2, .head_dim = 8, .dtype = DType::kBF16};
constexpr std::size_t kPlenty = 1 << 24;

/// What runs out.
enum class Fault {
  kHostPagesNew,    // operator new, with pages in host memory
  kDevicePagesNew,  // operator new, with pages like a device's
  kDevice,          // the device's memory
};

/// caches[0] is operated on. With `shared`, caches[1] has all of its pages too.
struct World {
  World(Fault fault, bool shared, std::size_t budget = kPlenty) {
    if (fault == Fault::kHostPagesNew) {
      pool = KvPool::create(budget, kShape.head_dim, kShape.dtype);
    } else {
      auto made = std::make_unique<FaultyPages>(budget, kShape.head_dim, kShape.dtype);
      pages = made.get();
      pool = KvPoolAccess::create(std::move(made));
    }
    caches.reserve(3);
    KvCache& cache = caches.emplace_back(pool, kShape);
    store(cache, 0, 100);
    store(cache, 1, 100);
    cache.thin(0, 1, 70, std::vector<std::int32_t>{0, 3, 4, 69});
    store(cache, 0, 28);  // one head at a page's end, the other not
    store(cache, 1, 35);
    if (shared) caches.push_back(cache.fork());
  }

  void store(KvCache& cache, std::int32_t layer, std::int64_t n, const KeptSet* kept = nullptr) {
    const Rows k(random, DType::kF32, n, 2, kShape.head_dim), v(random, DType::kBF16, n, 2, kShape.head_dim);
    cache.store(layer, k.view(), v.view(), kept, 30);
  }

  std::mt19937 random{7};
  std::shared_ptr<KvPool> pool;
  FaultyPages* pages = nullptr;
  std::vector<KvCache> caches;
};

/// All that can be asked of a world's caches and pool. Addresses tell that pages are the same, not only alike.
struct State {
  explicit State(const World& world, bool with_addresses) {
    std::ostringstream all;
    all << world.pool->used_bytes() << " bytes used, " << world.pool->free_pages() << " pages free\n";
    for (const KvCache& cache : world.caches) {
      all << "cache of " << cache.bytes_used() << " bytes, limit " << cache.truncation_limit() << "\n";
      for (std::int32_t l = 0; l < kShape.num_layers; ++l) {
        all << "layer of " << cache.num_tokens(l) << " tokens\n";
        for (std::int32_t h = 0; h < kShape.num_kv_heads; ++h) add_list(all, cache, l, h, with_addresses);
      }
    }
    text = all.str();
  }
  static void add_list(std::ostream& all, const KvCache& cache, std::int32_t l, std::int32_t h, bool with_addresses) {
    all << "list of " << cache.length(l, h) << ", tail at " << cache.tail_begin(l, h) << "\n";
    for (std::int32_t p = 0; p < cache.num_pages(l, h); ++p) {
      const KvPageView page = cache.page(l, h, p);
      if (with_addresses) all << "page " << page.k;
      const auto* const k = static_cast<const std::uint16_t*>(page.k);
      const auto* const v = static_cast<const std::uint16_t*>(page.v);
      for (std::int32_t i = 0; i < page.count; ++i) {
        all << " " << page.positions[i] << ":";
        for (std::int32_t c = i * kShape.head_dim; c < (i + 1) * kShape.head_dim; ++c)
          all << k[c] << "," << v[c] << ";";
      }
      all << "\n";
    }
  }
  std::string text;
};
std::string content(const World& world) { return State(world, false).text; }
std::string identity(const World& world) { return State(world, true).text; }

using Operation = std::function<void(World&)>;

/// Runs it with the n-th allocation failing. Whether there was an n-th, and whether the operation said so.
struct Outcome {
  bool failed = false, threw = false;
};
Outcome run_with_fault(const Operation& operation, World& world, Fault fault, std::int64_t n) {
  Outcome outcome;
  if (fault == Fault::kDevice) world.pages->fail_nth(n);
  {
    const FailNthAllocation allocation(fault == Fault::kDevice ? 0 : n);
    try {
      operation(world);
    } catch (const std::bad_alloc&) {
      outcome.threw = true;
    } catch (const Error& error) {
      outcome.threw = error.category() == ErrorCategory::kOutOfBudget;
    }
    outcome.failed = fault == Fault::kDevice ? world.pages->failed() : allocation.failed();
  }
  if (fault == Fault::kDevice) world.pages->fail_nth(0);
  return outcome;
}

/// Returns how many allocations there were to fail.
std::int64_t check(const Operation& operation, Fault fault, bool shared) {
  World undisturbed(fault, shared);
  operation(undisturbed);
  const std::string expected = content(undisturbed);
  for (std::int64_t n = 1;; ++n) {
    World world(fault, shared);
    const std::shared_ptr<KvPool> pool = world.pool;
    const std::string before = identity(world);
    const std::mt19937 random = world.random;
    const Outcome outcome = run_with_fault(operation, world, fault, n);
    SCOPED_TRACE(text("allocation ", n, shared ? ", shared pages" : ""));
    if (outcome.threw) {
      EXPECT_EQ(identity(world), before);
      world.random = random;
      operation(world);
    }
    EXPECT_EQ(outcome.threw, outcome.failed);
    EXPECT_EQ(content(world), expected);
    world.caches.clear();
    EXPECT_EQ(pool->used_bytes(), 0u);
    if (!outcome.failed) return n - 1;
    if (::testing::Test::HasFailure()) return n;
  }
}

/// What takes memory, of every kind.
void check_everywhere(const Operation& operation, bool device_memory = true) {
  for (const bool shared : {false, true}) {
    EXPECT_GT(check(operation, Fault::kHostPagesNew, shared), 0);
    EXPECT_GT(check(operation, Fault::kDevicePagesNew, shared), 0);
    EXPECT_EQ(check(operation, Fault::kDevice, shared) > 0, device_memory);
  }
}

void store_kept(World& world) {
  const KeptSet kept = random_kept(world.random, 90, 2, 0.3);
  world.store(world.caches[0], 0, 90, &kept);
}

void thin(World& world) { world.caches[0].thin(1, 0, 100, std::vector<std::int32_t>{0, 1, 5, 64, 98}); }

TEST(KvFaults, Store) {
  for (const std::int64_t n : {1, 29, 150}) {
    check_everywhere([n](World& world) { world.store(world.caches[0], 0, n); });
  }
  check_everywhere(store_kept);
}

TEST(KvFaults, StoreWithReservedPages) {
  // Two operations, so only the second fails.
  for (const std::int64_t reserved : {1, 64, 300}) {
    const auto reserve = [reserved](World& world) { world.caches[0].reserve(reserved); };
    for (const Fault fault : {Fault::kHostPagesNew, Fault::kDevicePagesNew, Fault::kDevice}) {
      for (std::int64_t n = 1;; ++n) {
        World world(fault, true);
        reserve(world);
        const std::string before = identity(world);
        const Outcome outcome = run_with_fault([](World& w) { w.store(w.caches[0], 1, 100); }, world, fault, n);
        if (!outcome.failed) break;
        ASSERT_TRUE(outcome.threw);
        ASSERT_EQ(identity(world), before) << "reserved " << reserved << ", allocation " << n;
      }
    }
  }
}

TEST(KvFaults, Thin) {
  check_everywhere(thin);
  check_everywhere([](World& world) { world.caches[0].thin(0, 1, 20, {}); });
}

TEST(KvFaults, Extend) {
  check_everywhere([](World& world) { KvCacheAccess::extend(world.caches[0]); });
}

TEST(KvFaults, Reserve) {
  check_everywhere([](World& world) { world.caches[0].reserve(200); });
}

TEST(KvFaults, ForkAndOpen) {
  check_everywhere([](World& world) { world.caches.push_back(world.caches[0].fork()); }, false);
  check_everywhere([](World& world) { world.caches.emplace_back(world.pool, kShape); }, false);
}

TEST(KvFaults, WhatGivesMemoryBackTakesNone) {
  const Operation operations[] = {
      [](World& world) { world.caches[0].truncate(110); },
      [](World& world) { world.caches[0].truncate(0); },
      [](World& world) { world.caches[0].clear(); },
      [](World& world) { world.caches[0].reserve(0); },
  };
  for (const Operation& operation : operations) {
    for (const Fault fault : {Fault::kHostPagesNew, Fault::kDevicePagesNew, Fault::kDevice}) {
      EXPECT_EQ(check(operation, fault, true), 0);
    }
  }
}

TEST(KvFaults, Load) {
  const TemporaryFolder folder;
  const std::string path = folder.file("cache");
  World(Fault::kHostPagesNew, false).caches[0].save(path, "metadata");
  check_everywhere([&](World& world) {
    world.caches.push_back(KvCache::load(path, world.pool, [](const KvShape&, const std::string& metadata) {
      if (metadata != "metadata") fail(ErrorCategory::kInvalidArgument, metadata);
    }));
  });
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(KvFaults, Save) {
  const TemporaryFolder folder;
  const std::string path = folder.file("cache");
  World world(Fault::kHostPagesNew, false);
  world.caches[0].save(path, "first");
  const std::string first = bytes_of(path), before = identity(world);
  std::int64_t n = 1;
  while (run_with_fault([&](World& w) { w.caches[0].save(path, "second"); }, world, Fault::kHostPagesNew, n).failed) {
    ASSERT_TRUE(bytes_of(path) == first) << n;
    ASSERT_EQ(folder.num_entries(), 1u) << n;
    ++n;
  }
  EXPECT_GT(n, 2);
  EXPECT_FALSE(bytes_of(path) == first);
  EXPECT_EQ(identity(world), before);
}

// ---- Several operations in one ----

/// One token in every layer, as a session reads it, under a savepoint; `keep` or given up at the end.
Operation token(bool by_extending, bool keep) {
  return [=](World& world) {
    KvCache& cache = world.caches[0];
    KvSavepoint savepoint(cache);
    cache.reserve(1);
    if (by_extending) {
      KvCacheAccess::extend(cache);
    } else {
      for (const std::int32_t layer : {0, 1}) world.store(cache, layer, 1);
    }
    if (keep) savepoint.keep();
  };
}

TEST(KvFaults, ATokenOfAllLayers) {
  check_everywhere(token(false, true));
  check_everywhere(token(true, true));
}

TEST(KvFaults, ASavepointGoesBackToWhatWasThere) {
  const auto segments = [](World& world) {
    const KvSavepoint savepoint(world.caches[0]);
    for (const std::int64_t n : {29, 64, 200}) world.store(world.caches[0], 1, n);
    store_kept(world);
  };
  for (const Fault fault : {Fault::kHostPagesNew, Fault::kDevice}) {
    for (const bool shared : {false, true}) {
      for (const Operation& operation : {token(false, false), token(true, false), Operation(segments)}) {
        World world(fault, shared);
        const std::string before = identity(world);
        operation(world);
        EXPECT_EQ(identity(world), before);
        world.store(world.caches[0], 0, 1);  // the next one begins anew
        operation(world);
      }
      // Reserved pages that were used are reserved again.
      for (const std::int64_t reserved : {1, 64, 1000}) {
        World world(fault, shared);
        world.caches[0].reserve(reserved);
        const std::string before = identity(world);
        segments(world);
        EXPECT_EQ(identity(world), before) << reserved;
      }
    }
  }
}

TEST(KvFaults, AForkMayEndWhileASavepointHoldsWhatItShared) {
  World world(Fault::kHostPagesNew, true);
  const std::string before = content(world);
  {
    const KvSavepoint savepoint(world.caches[0]);
    KvCacheAccess::extend(world.caches[0]);
    world.caches.pop_back();
  }
  world.caches.push_back(world.caches[0].fork());
  EXPECT_EQ(content(world), before);
}

// ---- The budget ----

TEST(KvFaults, ABudgetOfEverySize) {
  const Operation operations[] = {
      [](World& world) { world.store(world.caches[0], 0, 150); },
      store_kept,
      thin,
      [](World& world) { KvCacheAccess::extend(world.caches[0]); },
      [](World& world) { world.caches[0].reserve(200); },
      token(false, true),
  };
  for (const Operation& operation : operations) {
    const std::size_t page = World(Fault::kDevice, true).pool->page_bytes();
    const std::size_t used = World(Fault::kDevice, true).pool->used_bytes();
    std::size_t more = 0;
    for (;; more += page) {
      World world(Fault::kDevice, true, used + more);
      const std::string before = identity(world);
      if (!run_with_fault(operation, world, Fault::kDevice, 0).threw) break;
      ASSERT_EQ(identity(world), before) << more / page << " pages more";
    }
    EXPECT_GT(more, 0u);
  }
}

}  // namespace
}  // namespace tca::testing
