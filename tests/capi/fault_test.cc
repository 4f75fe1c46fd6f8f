// Every call that can fail, with every allocation of the calling thread failing once: handle results are null, others
// and the handles that were given are as before, and the call succeeds when it is made again.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <sstream>
#include <string_view>

#include "capi/problem.h"
#include "core/faults/failing_new.h"
#include "core/temporary_folder.h"

namespace tca::testing {
namespace {

class CApiFaults : public CApi {
 protected:
  using Call = std::function<tca_status()>;

  void SetUp() override {
    const tca_tensor k = c_k(), v = c_v();
    ASSERT_EQ(tca_kv_cache_store(cache_, 0, &k, &v, nullptr, 0), TCA_OK);
    ASSERT_EQ(tca_kv_cache_fork(cache_, &fork_), TCA_OK);
  }
  void TearDown() override { tca_kv_cache_destroy(fork_); }

  /// What can be asked of the cache, its fork and their pool.
  std::string state() const {
    std::ostringstream all;
    tca_kv_pool_info info;
    EXPECT_EQ(tca_kv_pool_get_info(kv_pool_, &info), TCA_OK);
    all << info.used_bytes << " bytes used, " << info.free_pages << " pages free";
    for (const tca_kv_cache* cache : {cache_, fork_}) {
      std::int64_t seen = 0, length = 0, tail = 0;
      EXPECT_EQ(tca_kv_cache_num_tokens(cache, 0, &seen), TCA_OK);
      for (std::int32_t h = 0; h < kKvHeads; ++h) {
        std::int32_t num_pages = 0;
        EXPECT_EQ(tca_kv_cache_length(cache, 0, h, &length), TCA_OK);
        EXPECT_EQ(tca_kv_cache_tail_begin(cache, 0, h, &tail), TCA_OK);
        EXPECT_EQ(tca_kv_cache_num_pages(cache, 0, h, &num_pages), TCA_OK);
        all << "\n" << seen << " seen, " << length << " held, tail at " << tail << ":";
        for (std::int32_t p = 0; p < num_pages; ++p) {
          tca_kv_page page;
          EXPECT_EQ(tca_kv_cache_page(cache, 0, h, p, &page), TCA_OK);
          const std::size_t bytes = static_cast<std::size_t>(page.count) * kDim * sizeof(float);
          for (const void* part : {page.k, page.v}) {
            all << " " << part << " " << std::hash<std::string_view>()({static_cast<const char*>(part), bytes});
          }
        }
      }
    }
    return all.str();
  }

  /// Returns the number of allocations that failed. `unchanged` says what else must be as it was.
  int check(
      const Call& call, const std::function<void()>& unchanged = [] {}) {
    for (int n = 1;; ++n) {
      const std::string before = state();
      tca_status status = TCA_OK;
      bool failed = false;
      {
        const FailNthAllocation allocation(n);
        status = call();
        failed = allocation.failed();
      }
      if (status == TCA_OK) {
        if (!failed) return n - 1;
        continue;  // it did without
      }
      EXPECT_TRUE(failed) << tca_last_error();
      EXPECT_TRUE(status == TCA_OUT_OF_MEMORY || status == TCA_OUT_OF_BUDGET) << tca_last_error();
      EXPECT_EQ(state(), before) << "allocation " << n;
      unchanged();
      if (HasFailure()) return n;
    }
  }

  /// Of calls that make something: nothing is made, and nobody could take what was there before for it.
  template <class Handle>
  void check_create(const std::function<tca_status(Handle**)>& make, void (*destroy)(Handle*)) {
    Handle* made = nullptr;
    const int failures = check(
        [&] {
          made = reinterpret_cast<Handle*>(this);
          const tca_status status = make(&made);
          if (status == TCA_OK) destroy(made);
          return status;
        },
        [&] { EXPECT_EQ(made, nullptr); });
    EXPECT_GT(failures, 0);
  }

  tca_kv_cache* fork_ = nullptr;
};

TEST_F(CApiFaults, Handles) {
  check_create<tca_thread_pool>([](auto** out) { return tca_thread_pool_create(4, out); }, tca_thread_pool_destroy);
  check_create<tca_backend>([&](auto** out) { return tca_backend_create("cpu", threads_, out); }, tca_backend_destroy);
  check_create<tca_cancel>([](auto** out) { return tca_cancel_create(out); }, tca_cancel_destroy);
  check_create<tca_profile>(
      [](auto** out) { return tca_profile_parse(kProfile, sizeof(kProfile) - 1, "profile", out); },
      tca_profile_destroy);
  const std::int64_t offsets[] = {0, 2, 3};
  const std::int32_t positions[] = {1, 5, 0};
  check_create<tca_kept_set>([&](auto** out) { return tca_kept_set_create(9, 2, offsets, positions, out); },
                             tca_kept_set_destroy);
  const tca_select_params params = select_params();
  check_create<tca_kept_set>([&](auto** out) { return tca_select(backend_, &params, out); }, tca_kept_set_destroy);
  check_create<tca_kv_pool>([&](auto** out) { return tca_kv_pool_create(backend_, 1 << 20, kDim, TCA_F32, out); },
                            tca_kv_pool_destroy);
  const tca_kv_shape shape = {1, kKvHeads, kDim, TCA_F32};
  check_create<tca_kv_cache>([&](auto** out) { return tca_kv_cache_create(kv_pool_, &shape, out); },
                             tca_kv_cache_destroy);
  check_create<tca_kv_cache>([&](auto** out) { return tca_kv_cache_fork(cache_, out); }, tca_kv_cache_destroy);
}

TEST_F(CApiFaults, Profiles) {
  tca_profile* profile = nullptr;
  ASSERT_EQ(tca_profile_parse(kProfile, sizeof(kProfile) - 1, "profile", &profile), TCA_OK);
  const char objective[] = "tail-risk that is too long for a string without memory of its own";
  tca_budget budget;
  std::memset(&budget, 7, sizeof(budget));
  const tca_budget before = budget;
  // An objective that the profile lacks: whether memory or the objective is missing, nothing is written.
  EXPECT_NE(tca_profile_pick(profile, 0.6, objective, &budget), TCA_OK);
  EXPECT_EQ(std::memcmp(&budget, &before, sizeof(budget)), 0);
  double shares[10];
  std::fill(std::begin(shares), std::end(shares), -1.0);
  const int failures = check([&] { return tca_profile_shares(profile, 0, 0, TCA_ATTEND, shares); },
                             [&] { EXPECT_EQ(std::count(std::begin(shares), std::end(shares), -1.0), 10); });
  EXPECT_GT(failures, 0);
  EXPECT_EQ(std::count(std::begin(shares), std::end(shares), -1.0), 0);
  tca_profile_destroy(profile);
}

TEST_F(CApiFaults, ACallWithOneOfItsResultsNullLeavesTheOther) {
  const std::int64_t offsets[] = {0, 2, 3};
  const std::int32_t positions[] = {1, 5, 0};
  tca_kept_set* set = nullptr;
  ASSERT_EQ(tca_kept_set_create(9, 2, offsets, positions, &set), TCA_OK);
  std::int64_t count = -7;
  expect_failure(tca_kept_set_head(set, 0, nullptr, &count), TCA_INVALID_ARGUMENT, "positions is null");
  EXPECT_EQ(count, -7);
  tca_kept_set_destroy(set);
  tca_profile* profile = nullptr;
  ASSERT_EQ(tca_profile_parse(kProfile, sizeof(kProfile) - 1, "profile", &profile), TCA_OK);
  std::size_t size = 7;
  expect_failure(tca_profile_to_json(profile, nullptr, 100, &size), TCA_INVALID_ARGUMENT, "out is null");
  EXPECT_EQ(size, 7u);
  tca_profile_destroy(profile);
}

TEST_F(CApiFaults, Caches) {
  const tca_tensor k = c_k(), v = c_v();
  const std::int32_t keep[] = {0, 5, 100};
  EXPECT_GT(check([&] { return tca_kv_cache_store(cache_, 0, &k, &v, nullptr, 0); }), 0);
  EXPECT_GT(check([&] { return tca_kv_cache_thin(cache_, 0, 0, 150, keep, 3); }), 0);
  EXPECT_EQ(check([&] { return tca_kv_cache_truncate(fork_, 100); }), 0);
  EXPECT_EQ(check([&] { return tca_kv_cache_clear(fork_); }), 0);
  const TemporaryFolder folder;
  const std::string path = folder.file("cache");
  EXPECT_GT(check([&] { return tca_kv_cache_save(cache_, path.c_str(), "text", 4); },
                  [&] { EXPECT_EQ(folder.num_entries(), 0u); }),
            0);
  check_create<tca_kv_cache>(
      [&](auto** out) { return tca_kv_cache_load(path.c_str(), kv_pool_, nullptr, nullptr, out); },
      tca_kv_cache_destroy);
}

/// What they compute may be there in part; the cache is only read.
TEST_F(CApiFaults, Operations) {
  std::vector<float> out(kTokens * kHeads * kDim), scores(kTokens * kKvHeads), lse(kTokens * kHeads);
  tca_probe_params probe = {};
  probe.q = c_q(kProbes);
  probe.k = c_k();
  probe.past_cache = cache_;
  probe.pool_width = 7;
  EXPECT_GT(check([&] { return tca_probe_scores(backend_, &probe, scores.data()); }), 0);
  tca_prefill_params prefill = {};
  prefill.q = c_q(kTokens);
  prefill.k = c_k();
  prefill.v = c_v();
  prefill.out = tca_mutable_contiguous(out.data(), TCA_F32, kTokens, kHeads, kDim);
  prefill.past_cache = cache_;
  prefill.window = 16;
  prefill.lse = lse.data();
  EXPECT_GT(check([&] { return tca_prefill_attention(backend_, &prefill, 1); }), 0);
  tca_decode_params decode = {};
  decode.q = c_q(1);
  decode.out = tca_mutable_contiguous(out.data(), TCA_F32, 1, kHeads, kDim);
  decode.cache = cache_;
  decode.lse = lse.data();
  EXPECT_GT(check([&] { return tca_decode_attention(backend_, &decode, 1); }), 0);
  tca_tail_score_params tail = {};
  tail.q = c_q(1);
  tail.lse = lse.data();
  tail.cache = cache_;
  tail.count = 100;
  tail.out = scores.data();
  EXPECT_GT(check([&] { return tca_tail_scores(backend_, &tail, 1); }), 0);
  const std::int32_t rows[] = {199};
  tca_certify_params certify = {};
  certify.q = c_q(1);
  certify.rows = rows;
  certify.k = c_k();
  certify.v = c_v();
  certify.window = 16;
  tca_head_certificate certificates[kKvHeads];
  std::memset(certificates, 7, sizeof(certificates));
  const tca_head_certificate untouched = certificates[0];
  EXPECT_GT(check([&] { return tca_certify(backend_, &certify, certificates, nullptr); },
                  [&] { EXPECT_EQ(std::memcmp(certificates, &untouched, sizeof(untouched)), 0); }),
            0);
}

}  // namespace
}  // namespace tca::testing
