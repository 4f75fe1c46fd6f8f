// Every error becomes a status and a message.
#include <gtest/gtest.h>

#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "capi/problem.h"

namespace tca::testing {
namespace {

TEST_F(CApi, EveryNullIsAnError) {
  const tca_tensor k = c_k();
  const tca_kv_shape shape = {1, kKvHeads, kDim, TCA_F32};
  tca_profile* profile = nullptr;
  ASSERT_EQ(tca_profile_parse(kProfile, sizeof(kProfile) - 1, "p", &profile), TCA_OK) << tca_last_error();
  tca_backend* backend = nullptr;
  tca_profile* parsed = nullptr;
  tca_kept_set* set = nullptr;
  tca_kv_cache* cache = nullptr;
  tca_model_fingerprint model = {};
  tca_budget budget = {};
  tca_head_profile head = {};
  tca_provenance provenance = {};
  tca_stream stream = {};
  tca_kv_pool* pool = nullptr;
  double shares[5] = {1, 0, 0, 0, 0};
  tca_kv_pool_info info = {};
  tca_kv_shape found_shape = {};
  tca_kv_page page = {};
  tca_select_params select = select_params();
  tca_probe_params probe = {};
  tca_prefill_params prefill = {};
  tca_decode_params decode = {};
  tca_tail_score_params tail = {};
  tca_certify_params certify = {};
  tca_head_certificate certificate = {};
  const char* name = nullptr;
  const std::int32_t* positions = nullptr;
  std::int64_t offsets[] = {0, 1, 1}, wide = 0;
  std::int32_t narrow = 0;
  std::size_t bytes = 0;
  int number = 0;
  double share = 0;
  float value = 0;

  const std::function<tca_status()> calls[] = {
      [&] { return tca_thread_pool_create(1, nullptr); },
      [&] { return tca_thread_pool_num_threads(nullptr, &number); },
      [&] { return tca_thread_pool_num_threads(threads_, nullptr); },
      [&] { return tca_backend_create(nullptr, threads_, &backend); },
      [&] { return tca_backend_create("cpu", nullptr, &backend); },
      [&] { return tca_backend_create("cpu", threads_, nullptr); },
      [&] { return tca_backend_name(nullptr, &name); },
      [&] { return tca_backend_name(backend_, nullptr); },
      [&] { return tca_backend_supports(nullptr, TCA_F32, 64, &number); },
      [&] { return tca_backend_supports(backend_, TCA_F32, 64, nullptr); },
      [&] { return tca_backend_break_even_tokens(nullptr, 0.5, 64, &wide); },
      [&] { return tca_backend_break_even_tokens(backend_, 0.5, 64, nullptr); },
      [&] { return tca_cancel_create(nullptr); },
      [&] { return tca_cancel_request(nullptr); },
      [&] { return tca_cancel_reset(nullptr); },
      [&] { return tca_profile_load(nullptr, &parsed); },
      [&] { return tca_profile_load("p", nullptr); },
      [&] { return tca_profile_parse(nullptr, 2, "p", &parsed); },
      [&] { return tca_profile_parse("{}", 2, nullptr, &parsed); },
      [&] { return tca_profile_save(nullptr, "p"); },
      [&] { return tca_profile_save(profile, nullptr); },
      [&] { return tca_profile_model(nullptr, &model); },
      [&] { return tca_profile_model(profile, nullptr); },
      [&] { return tca_profile_validate(nullptr, &model); },
      [&] { return tca_profile_validate(profile, nullptr); },
      [&] { return tca_profile_pick(nullptr, 0.6, "tail-risk", &budget); },
      [&] { return tca_profile_pick(profile, 0.6, nullptr, &budget); },
      [&] { return tca_profile_pick(profile, 0.6, "tail-risk", nullptr); },
      [&] { return tca_profile_shares(nullptr, 0, 0, TCA_KEEP, &share); },
      [&] { return tca_profile_shares(profile, 0, 0, TCA_KEEP, nullptr); },
      [&] { return tca_profile_num_budgets(nullptr, &bytes); },
      [&] { return tca_profile_num_budgets(profile, nullptr); },
      [&] { return tca_profile_budget(nullptr, 0, &budget); },
      [&] { return tca_profile_budget(profile, 0, nullptr); },
      [&] { return tca_profile_head(nullptr, 0, 0, 0, &head); },
      [&] { return tca_profile_head(profile, 0, 0, 0, nullptr); },
      [&] { return tca_profile_richer(nullptr, shares, 5, 0, 0, "tail-risk", shares); },
      [&] { return tca_profile_richer(profile, nullptr, 5, 0, 0, "tail-risk", shares); },
      [&] { return tca_profile_richer(profile, shares, 5, 0, 0, nullptr, shares); },
      [&] { return tca_profile_richer(profile, shares, 5, 0, 0, "tail-risk", nullptr); },
      [&] { return tca_profile_provenance(nullptr, &provenance); },
      [&] { return tca_profile_provenance(profile, nullptr); },
      [&] { return tca_profile_to_json(nullptr, nullptr, 0, &bytes); },
      [&] { return tca_profile_to_json(profile, nullptr, 0, nullptr); },
      [&] { return tca_profile_to_json(profile, nullptr, 1, &bytes); },
      [&] { return tca_model_fingerprint_describe(nullptr, nullptr, 0, &bytes); },
      [&] { return tca_model_fingerprint_describe(&model, nullptr, 0, &bytes); },
      [&] { return tca_block_shares_full(8, nullptr); },
      [&] { return tca_block_shares_window(8, nullptr); },
      [&] { return tca_block_shares_kept_share(nullptr, 5, &share); },
      [&] { return tca_block_shares_kept_share(shares, 5, nullptr); },
      [&] {
        return tca_thread_pool_parallel_for(
            nullptr, 1, [](std::int64_t, int, void*) {}, nullptr);
      },
      [&] { return tca_thread_pool_parallel_for(threads_, 1, nullptr, nullptr); },
      [&] { return tca_available_backend(0, nullptr); },
      [&] { return tca_backend_create_on_stream(nullptr, threads_, &stream, &backend); },
      [&] { return tca_backend_create_on_stream("cuda", nullptr, &stream, &backend); },
      [&] { return tca_backend_create_on_stream("cuda", threads_, nullptr, &backend); },
      [&] { return tca_backend_create_on_stream("cuda", threads_, &stream, nullptr); },
      [&] { return tca_backend_stream(nullptr, &number, &stream); },
      [&] { return tca_backend_stream(backend_, nullptr, &stream); },
      [&] { return tca_backend_stream(backend_, &number, nullptr); },
      [&] { return tca_backend_synchronize(nullptr); },
      [&] { return tca_backend_isa(nullptr, &name); },
      [&] { return tca_backend_isa(backend_, nullptr); },
      [&] { return tca_kept_set_create(5, 2, nullptr, nullptr, &set); },
      [&] { return tca_kept_set_create(5, 2, offsets, nullptr, &set); },
      [&] { return tca_kept_set_num_tokens(nullptr, &wide); },
      [&] { return tca_kept_set_num_kv_heads(nullptr, &narrow); },
      [&] { return tca_kept_set_head(nullptr, 0, &positions, &wide); },
      [&] { return tca_kv_pool_create(nullptr, 1, 64, TCA_F32, nullptr); },
      [&] { return tca_kv_pool_get_info(nullptr, &info); },
      [&] { return tca_kv_pool_get_info(kv_pool_, nullptr); },
      [&] { return tca_kv_cache_create(nullptr, &shape, &cache); },
      [&] { return tca_kv_cache_create(kv_pool_, nullptr, &cache); },
      [&] { return tca_kv_cache_create(kv_pool_, &shape, nullptr); },
      [&] { return tca_kv_cache_fork(nullptr, &cache); },
      [&] { return tca_kv_cache_fork(cache_, nullptr); },
      [&] { return tca_kv_cache_shape(nullptr, &found_shape); },
      [&] { return tca_kv_cache_pool(nullptr, &pool); },
      [&] { return tca_kv_cache_pool(cache_, nullptr); },
      [&] { return tca_kv_cache_position(nullptr, 0, 0, 0, &narrow); },
      [&] { return tca_kv_cache_reserve(nullptr, 1); },
      [&] { return tca_kv_cache_num_tokens(nullptr, 0, &wide); },
      [&] { return tca_kv_cache_num_tokens(cache_, 0, nullptr); },
      [&] { return tca_kv_cache_length(nullptr, 0, 0, &wide); },
      [&] { return tca_kv_cache_tail_begin(nullptr, 0, 0, &wide); },
      [&] { return tca_kv_cache_num_pages(nullptr, 0, 0, &narrow); },
      [&] { return tca_kv_cache_page(nullptr, 0, 0, 0, &page); },
      [&] { return tca_kv_cache_bytes_used(nullptr, &bytes); },
      [&] { return tca_kv_cache_pages_needed(nullptr, 1, &wide); },
      [&] { return tca_kv_cache_store(nullptr, 0, &k, &k, nullptr, 0); },
      [&] { return tca_kv_cache_store(cache_, 0, nullptr, &k, nullptr, 0); },
      [&] { return tca_kv_cache_store(cache_, 0, &k, nullptr, nullptr, 0); },
      [&] { return tca_kv_cache_thin(nullptr, 0, 0, 0, nullptr, 0); },
      [&] { return tca_kv_cache_thin(cache_, 0, 0, 0, nullptr, 1); },
      [&] { return tca_kv_cache_truncate(nullptr, 0); },
      [&] { return tca_kv_cache_truncation_limit(nullptr, &wide); },
      [&] { return tca_kv_cache_truncation_limit(cache_, nullptr); },
      [&] { return tca_kv_cache_clear(nullptr); },
      [&] { return tca_kv_cache_save(nullptr, "p", nullptr, 0); },
      [&] { return tca_kv_cache_save(cache_, nullptr, nullptr, 0); },
      [&] { return tca_kv_cache_save(cache_, "p", nullptr, 1); },
      [&] { return tca_kv_cache_load(nullptr, kv_pool_, nullptr, nullptr, &cache); },
      [&] { return tca_kv_cache_load("p", kv_pool_, nullptr, nullptr, nullptr); },
      [&] { return tca_probe_scores(nullptr, &probe, &value); },
      [&] { return tca_probe_scores(backend_, nullptr, &value); },
      [&] { return tca_select(nullptr, &select, &set); },
      [&] { return tca_select(backend_, nullptr, &set); },
      [&] { return tca_select(backend_, &select, nullptr); },
      [&] { return tca_prefill_attention(nullptr, &prefill, 1); },
      [&] { return tca_prefill_attention(backend_, nullptr, 1); },
      [&] { return tca_decode_attention(nullptr, &decode, 1); },
      [&] { return tca_decode_attention(backend_, nullptr, 1); },
      [&] { return tca_tail_scores(nullptr, &tail, 1); },
      [&] { return tca_tail_scores(backend_, nullptr, 1); },
      [&] { return tca_certify(nullptr, &certify, &certificate, nullptr); },
      [&] { return tca_certify(backend_, nullptr, &certificate, nullptr); },
      [&] { return tca_certify(backend_, &certify, nullptr, nullptr); },
  };
  for (std::size_t i = 0; i < std::size(calls); ++i) {
    SCOPED_TRACE(i);
    expect_failure(calls[i](), TCA_INVALID_ARGUMENT, "is null");
  }
  for (const auto& destroy : {std::function<void()>([] { tca_thread_pool_destroy(nullptr); }),
                              std::function<void()>([] { tca_backend_destroy(nullptr); }),
                              std::function<void()>([] { tca_cancel_destroy(nullptr); }),
                              std::function<void()>([] { tca_profile_destroy(nullptr); }),
                              std::function<void()>([] { tca_kept_set_destroy(nullptr); }),
                              std::function<void()>([] { tca_kv_pool_destroy(nullptr); }),
                              std::function<void()>([] { tca_kv_cache_destroy(nullptr); })}) {
    destroy();
  }
  tca_profile_destroy(profile);
}

TEST_F(CApi, BadValuesAreNamed) {
  tca_select_params select = select_params();
  tca_kept_set* set = nullptr;
  select.num_shares = 1000000;
  expect_failure(tca_select(backend_, &select, &set), TCA_INVALID_ARGUMENT, "num_shares is 1000000");
  select = select_params();
  select.rule.order = static_cast<tca_block_order>(3);
  expect_failure(tca_select(backend_, &select, &set), TCA_INVALID_ARGUMENT, "rule.order is 3");
  select.rule.order = static_cast<tca_block_order>(-2);
  expect_failure(tca_select(backend_, &select, &set), TCA_INVALID_ARGUMENT, "rule.order is -2");
  select = select_params();
  select.reduce = static_cast<tca_probe_reduce>(2);
  expect_failure(tca_select(backend_, &select, &set), TCA_INVALID_ARGUMENT, "reduce is 2");
  select.reduce = TCA_PROBE_MEAN;
  const std::int32_t windows[] = {3, -1};
  select.rule.order = TCA_TOKENS;
  select.windows = windows;
  expect_failure(tca_select(backend_, &select, &set), TCA_INVALID_ARGUMENT, "windows[1] is -1");
  select = select_params();
  select.q.dtype = static_cast<tca_dtype>(257);  // 1 when cut to a byte
  expect_failure(tca_select(backend_, &select, &set), TCA_INVALID_ARGUMENT, "q.dtype is 257");
  select = select_params();
  select.k.num_heads = 0;
  expect_failure(tca_select(backend_, &select, &set), TCA_INVALID_ARGUMENT, "k.num_heads is 0");

  const std::int64_t offsets[] = {0, 3, 2}, many[] = {0, 1, 1000};
  const std::int32_t positions[] = {0, 1, 2};
  expect_failure(tca_kept_set_create(5, 2, offsets, positions, &set), TCA_INVALID_ARGUMENT, "kept.offsets");
  expect_failure(tca_kept_set_create(5, 2, many, positions, &set), TCA_INVALID_ARGUMENT, "offsets[2] is 1000");
  expect_failure(tca_kept_set_create(-1, 2, offsets, positions, &set), TCA_INVALID_ARGUMENT, "num_tokens is -1");
  expect_failure(tca_kept_set_create(5, 0, offsets, positions, &set), TCA_INVALID_ARGUMENT, "num_kv_heads is 0");

  tca_kv_pool* pool = nullptr;
  expect_failure(tca_kv_pool_create(nullptr, 1, 64, static_cast<tca_dtype>(-1), &pool), TCA_INVALID_ARGUMENT,
                 "dtype is -1");
  tca_tail_score_params tail = {};
  tail.count = -1;
  expect_failure(tca_tail_scores(backend_, &tail, 1), TCA_INVALID_ARGUMENT, "count is -1");

  ASSERT_EQ(tca_kv_pool_create(nullptr, 100, kDim, TCA_F32, &pool), TCA_OK);
  const tca_kv_shape shape = {1, kKvHeads, kDim, TCA_F32};
  tca_kv_cache* cache = nullptr;
  ASSERT_EQ(tca_kv_cache_create(pool, &shape, &cache), TCA_OK);
  const tca_tensor k = c_k();
  expect_failure(tca_kv_cache_store(cache, 0, &k, &k, nullptr, 0), TCA_OUT_OF_BUDGET, "bytes free");
  tca_kv_pool_destroy(pool);  // the cache keeps it
  std::size_t bytes = 1;
  EXPECT_EQ(tca_kv_cache_bytes_used(cache, &bytes), TCA_OK);
  EXPECT_EQ(bytes, 0u);
  tca_kv_cache_destroy(cache);
}

TEST(CApiStatus, NamesAndMessages) {
  EXPECT_STREQ(tca_version(), TCA_VERSION);
  EXPECT_STREQ(tca_status_name(TCA_OK), "ok");
  EXPECT_STREQ(tca_status_name(TCA_INTERNAL), "internal");
  EXPECT_STREQ(tca_status_name(static_cast<tca_status>(99)), "unknown");
  EXPECT_EQ(tca_cancel_request(nullptr), TCA_INVALID_ARGUMENT);
  EXPECT_STREQ(tca_last_error(), "cancel is null");
  std::thread([] { EXPECT_STREQ(tca_last_error(), ""); }).join();
}

TEST(CApiStatus, LongMessagesAreCutNotLost) {
  tca_profile* profile = nullptr;
  const std::string path(100000, 'p');
  expect_failure(tca_profile_load(path.c_str(), &profile), TCA_IO, "ppp");
  EXPECT_EQ(std::string(tca_last_error()).size(), 4095u);
}

}  // namespace
}  // namespace tca::testing
