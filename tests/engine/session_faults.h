// What tests of failing allocations share, of sessions on the host and on a GPU.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <new>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/kv_cache_impl.h"
#include "engine/engine_fixture.h"
#include "runtime/engine/session.h"
#include "tca/error.h"

namespace tca::test {

inline void describe_list(std::ostream& all, const KvCache& cache, std::int32_t layer, std::int32_t head) {
  const KvPages& pages = KvPoolAccess::pages(*cache.pool());
  const KvList& list = KvCacheAccess::impl(cache).list(layer, head);
  all << "\nlist " << list.tail_begin << ":";
  std::vector<std::byte> rows(2 * kPageTokens * pages.row_bytes);
  for (std::size_t p = 0; p < list.pages.size(); ++p) {
    const std::int32_t count = list.tokens_in_page(p);
    const std::size_t half = static_cast<std::size_t>(count) * pages.row_bytes;
    pages.read_rows(list.pages[p], count, rows.data(), rows.data() + half);
    all << "\n" << list.pages[p] << ": ";
    for (std::int32_t i = 0; i < count; ++i) all << cache.position(layer, head, p * kPageTokens + i) << " ";
    all << std::hash<std::string_view>()({reinterpret_cast<const char*>(rows.data()), 2 * half});
  }
}

/// All that can be asked of a session, and what its cache's pages hold.
inline std::string state_of(const runtime::Session& session) {
  std::ostringstream all;
  const KvCache& cache = session.cache();
  all << cache.pool()->used_bytes() << " bytes used, " << session.kv_bytes() << " by it; limit "
      << session.truncation_limit() << ", kept " << session.kept_share() << "\n";
  const runtime::ReadStats& stats = session.last_read();
  all << "last read " << stats.tokens << ", " << stats.sparse << ", " << stats.density << ", " << stats.seconds << "\n";
  if (const auto& certificate = session.certificate()) {
    all << "certificate of " << certificate->layers.size() << " layers, " << certificate->layers[0][0].p95_delta
        << "\n";
  }
  for (const std::int32_t id : session.tokens()) all << id << " ";
  for (std::int32_t l = 0; l < cache.shape().num_layers; ++l) {
    for (std::int32_t h = 0; h < cache.shape().num_kv_heads; ++h) describe_list(all, cache, l, h);
  }
  return all.str();
}

using Sessions = std::vector<runtime::Session>;
/// Its result lies in the session, so that what the test copies is not among the allocations that fail.
using SessionOperation = std::function<std::span<const float>(Sessions&)>;

// Operations of the first session, or of all of them.

inline SessionOperation reads(std::vector<std::int32_t> ids) {
  return [ids = std::move(ids)](Sessions& sessions) { return sessions[0].read(ids); };
}
/// Ids 1, 2, ... by session.
inline std::span<const float> read_batch(Sessions& sessions) {
  std::vector<runtime::Session*> all;
  std::vector<std::int32_t> ids;
  for (runtime::Session& session : sessions) {
    all.push_back(&session);
    ids.push_back(static_cast<std::int32_t>(all.size()));
  }
  return runtime::Session::read_batch(all, ids);
}
inline std::span<const float> fork(Sessions& sessions) {
  sessions.push_back(sessions[0].fork());
  return {};
}
inline SessionOperation truncates(std::int64_t n) {
  return [n](Sessions& sessions) {
    sessions[0].truncate(n);
    return std::span<const float>();
  };
}

inline std::string state_of(const Sessions& sessions) {
  std::string all;
  for (const runtime::Session& session : sessions) all += state_of(session);
  return all;
}

/// Runs the operation with the first, the second, ... allocation failing until there is none left to fail: Fault(n)
/// makes the n-th fail while it lives. The sessions have gone through all of these failures when it succeeds; what they
/// read afterwards shows that nothing stayed behind.
template <class Fault>
void check_with_faults(const std::function<Sessions()>& make, const SessionOperation& operation, bool runs_out = true) {
  Sessions undisturbed = make(), sessions = make();
  const std::vector<float> expected = copy(operation(undisturbed));
  std::int64_t failures = 0;
  std::string before = state_of(sessions);
  for (std::int64_t n = 1;; ++n) {
    std::span<const float> logits;
    bool threw = false, failed = false;
    {
      const Fault fault(n);
      try {
        logits = operation(sessions);
      } catch (const std::bad_alloc&) {
        threw = true;
      } catch (const Error& error) {
        // Of pages, of activations, or as oneDNN says it.
        threw = error.category() != ErrorCategory::kInvalidArgument;
      }
      failed = fault.failed();
    }
    if (threw) {
      ++failures;
      ASSERT_TRUE(failed);
      ASSERT_EQ(state_of(sessions), before) << "allocation " << n;
      continue;
    }
    ASSERT_EQ(copy(logits), expected) << "allocation " << n;
    if (!failed) break;
    // It did without, as thinning does, which can wait.
    sessions = make();
    before = state_of(sessions);
  }
  EXPECT_EQ(failures > 0, runs_out);
  ASSERT_EQ(sessions.size(), undisturbed.size());
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    EXPECT_EQ(sessions[i].tokens(), undisturbed[i].tokens());
    EXPECT_EQ(held_positions(sessions[i].cache()), held_positions(undisturbed[i].cache()));
    EXPECT_EQ(sessions[i].kv_bytes(), undisturbed[i].kv_bytes());
    for (std::int32_t id = 10; id < 20; ++id) EXPECT_EQ(read(sessions[i], {id}), read(undisturbed[i], {id}));
  }
}

}  // namespace tca::test
