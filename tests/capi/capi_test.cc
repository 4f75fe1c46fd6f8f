// The C API gives what the C++ API gives.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "capi/c_program.h"
#include "capi/problem.h"
#include "core/temporary_folder.h"

namespace tca::testing {
namespace {

class CProgram : public ::testing::TestWithParam<std::string> {};

TEST_P(CProgram, TakesAWholeTurn) {
  const TemporaryFolder folder;
  const char* const failed = run_c_program(GetParam().c_str(), folder.file("cache").c_str());
  EXPECT_EQ(failed, nullptr) << failed;
}

INSTANTIATE_TEST_SUITE_P(Backends, CProgram, ::testing::ValuesIn(available_backends()),
                         [](const auto& test) { return test.param; });

TEST_F(CApi, ProbeAndSelectEqualCpp) {
  tca_probe_params probe = {};
  probe.q = c_q(kProbes);
  probe.k = c_k();
  probe.pool_width = 7;
  std::vector<float> scores(kKvHeads * kTokens), cpp_scores(scores.size());
  ASSERT_EQ(tca_probe_scores(backend_, &probe, scores.data()), TCA_OK) << tca_last_error();
  cpp_backend_->probe_scores({.q = cpp(c_q(kProbes)), .k = cpp(c_k())}, cpp_scores);
  EXPECT_EQ(scores, cpp_scores);

  const tca_select_params params = select_params();
  tca_kept_set* kept = nullptr;
  ASSERT_EQ(tca_select(backend_, &params, &kept), TCA_OK) << tca_last_error();
  const KeptSet expected = cpp_select();
  std::int64_t num_tokens = 0;
  std::int32_t num_kv_heads = 0;
  EXPECT_EQ(tca_kept_set_num_tokens(kept, &num_tokens), TCA_OK);
  EXPECT_EQ(tca_kept_set_num_kv_heads(kept, &num_kv_heads), TCA_OK);
  EXPECT_EQ(num_tokens, kTokens);
  ASSERT_EQ(num_kv_heads, kKvHeads);
  for (std::int32_t h = 0; h < kKvHeads; ++h) {
    const std::int32_t* positions = nullptr;
    std::int64_t count = 0;
    EXPECT_EQ(tca_kept_set_head(kept, h, &positions, &count), TCA_OK);
    EXPECT_EQ(std::vector<std::int32_t>(positions, positions + count),
              std::vector<std::int32_t>(expected.head(h).begin(), expected.head(h).end()));
  }
  // The same set made by hand.
  tca_kept_set* copy = nullptr;
  EXPECT_EQ(tca_kept_set_create(kTokens, kKvHeads, expected.offsets.data(), expected.positions.data(), &copy), TCA_OK);
  tca_kept_set_destroy(copy);
  tca_kept_set_destroy(kept);
}

TEST_F(CApi, AttentionEqualsCpp) {
  const KeptSet cpp_kept = cpp_select();
  tca_kept_set* kept = nullptr;
  ASSERT_EQ(tca_kept_set_create(kTokens, kKvHeads, cpp_kept.offsets.data(), cpp_kept.positions.data(), &kept), TCA_OK);
  std::vector<float> out(kTokens * kHeads * kDim), cpp_out(out.size());
  std::vector<float> lse(kTokens * kHeads), cpp_lse(lse.size());
  tca_prefill_params params = {};
  params.q = c_q(kTokens);
  params.k = c_k();
  params.v = c_v();
  params.out = tca_mutable_contiguous(out.data(), TCA_F32, kTokens, kHeads, kDim);
  params.kept = kept;
  params.window = 16;
  params.sinks = 2;
  params.lse = lse.data();
  ASSERT_EQ(tca_prefill_attention(backend_, &params, 1), TCA_OK) << tca_last_error();
  const PrefillParams cpp_params = {
      .q = cpp(params.q),
      .k = cpp(params.k),
      .v = cpp(params.v),
      .out = contiguous(static_cast<void*>(cpp_out.data()), DType::kF32, kTokens, kHeads, kDim),
      .kept = &cpp_kept,
      .window = 16,
      .sinks = 2,
      .lse = cpp_lse};
  cpp_backend_->prefill_attention({&cpp_params, 1});
  EXPECT_EQ(out, cpp_out);
  EXPECT_EQ(lse, cpp_lse);

  const std::vector<std::int32_t> rows = {100, 150, 199};
  tca_certify_params certify = {};
  certify.q = c_q(3);
  certify.rows = rows.data();
  certify.k = c_k();
  certify.v = c_v();
  certify.kept = kept;
  certify.window = 16;
  certify.sinks = 2;
  std::vector<tca_head_certificate> certificates(kKvHeads);
  std::vector<float> deltas(rows.size() * kHeads), cpp_deltas(deltas.size());
  ASSERT_EQ(tca_certify(backend_, &certify, certificates.data(), deltas.data()), TCA_OK) << tca_last_error();
  const auto cpp_certificates = cpp_backend_->certify({.q = cpp(certify.q),
                                                       .rows = rows,
                                                       .k = cpp(certify.k),
                                                       .v = cpp(certify.v),
                                                       .kept = &cpp_kept,
                                                       .window = 16,
                                                       .sinks = 2},
                                                      cpp_deltas);
  EXPECT_EQ(deltas, cpp_deltas);
  for (std::size_t h = 0; h < kKvHeads; ++h) {
    EXPECT_GT(certificates[h].max_delta, 0);
    EXPECT_EQ(certificates[h].mean_delta, cpp_certificates[h].mean_delta);
    EXPECT_EQ(certificates[h].p95_delta, cpp_certificates[h].p95_delta);
    EXPECT_EQ(certificates[h].max_delta, cpp_certificates[h].max_delta);
    EXPECT_EQ(certificates[h].bound, cpp_certificates[h].bound);
  }
  tca_kept_set_destroy(kept);
}

TEST_F(CApi, DecodeAndTailScoresEqualCpp) {
  const tca_tensor k = c_k(), v = c_v();
  ASSERT_EQ(tca_kv_cache_store(cache_, 0, &k, &v, nullptr, 0), TCA_OK) << tca_last_error();
  KvCache cpp_cache(KvPool::create(1 << 22, kDim, DType::kF32), {1, kKvHeads, kDim, DType::kF32});
  cpp_cache.store(0, cpp(k), cpp(v));

  constexpr std::int64_t kQueries = 3, kCount = 70;
  std::vector<float> out(kQueries * kHeads * kDim), cpp_out(out.size());
  std::vector<float> lse(kQueries * kHeads), cpp_lse(lse.size()), scores(kCount), cpp_scores(kCount);
  tca_decode_params params = {};
  params.q = c_q(kQueries);
  params.out = tca_mutable_contiguous(out.data(), TCA_F32, kQueries, kHeads, kDim);
  params.cache = cache_;
  params.lse = lse.data();
  ASSERT_EQ(tca_decode_attention(backend_, &params, 1), TCA_OK) << tca_last_error();
  const DecodeParams cpp_params = {
      .q = cpp(params.q),
      .out = contiguous(static_cast<void*>(cpp_out.data()), DType::kF32, kQueries, kHeads, kDim),
      .cache = &cpp_cache,
      .lse = cpp_lse};
  cpp_backend_->decode_attention({&cpp_params, 1});
  EXPECT_EQ(out, cpp_out);
  EXPECT_EQ(lse, cpp_lse);

  tca_tail_score_params tail = {};
  tail.q = params.q;
  tail.lse = lse.data();
  tail.cache = cache_;
  tail.kv_head = 1;
  tail.count = kCount;
  tail.out = scores.data();
  ASSERT_EQ(tca_tail_scores(backend_, &tail, 1), TCA_OK) << tca_last_error();
  const TailScoreParams cpp_tail = {.q = cpp(params.q),
                                    .lse = cpp_lse,
                                    .cache = &cpp_cache,
                                    .layer = 0,
                                    .kv_head = 1,
                                    .count = kCount,
                                    .scale = 0,
                                    .out = cpp_scores};
  cpp_backend_->tail_scores({&cpp_tail, 1});
  EXPECT_EQ(scores, cpp_scores);
}

TEST_F(CApi, CacheAccessors) {
  const tca_tensor k = c_k(), v = c_v();
  std::int64_t needed = 0, seen = 0;
  EXPECT_EQ(tca_kv_cache_pages_needed(cache_, kTokens, &needed), TCA_OK);
  EXPECT_EQ(needed, 2 * 4);
  ASSERT_EQ(tca_kv_cache_store(cache_, 0, &k, &v, nullptr, 0), TCA_OK);
  EXPECT_EQ(tca_kv_cache_num_tokens(cache_, 0, &seen), TCA_OK);
  EXPECT_EQ(seen, kTokens);
  std::int32_t num_pages = 0;
  EXPECT_EQ(tca_kv_cache_num_pages(cache_, 0, 1, &num_pages), TCA_OK);
  EXPECT_EQ(num_pages, 4);
  tca_kv_shape shape = {};
  EXPECT_EQ(tca_kv_cache_shape(cache_, &shape), TCA_OK);
  EXPECT_EQ(shape.num_kv_heads, kKvHeads);
  tca_kv_pool_info info = {};
  EXPECT_EQ(tca_kv_pool_get_info(kv_pool_, &info), TCA_OK);
  std::size_t used = 0;
  EXPECT_EQ(tca_kv_cache_bytes_used(cache_, &used), TCA_OK);
  EXPECT_EQ(used, 8 * info.page_bytes);
  EXPECT_EQ(info.used_bytes, used);
  EXPECT_EQ(info.budget_bytes, std::size_t{1} << 22);
  EXPECT_EQ(info.free_pages, static_cast<std::int64_t>((info.budget_bytes - used) / info.page_bytes));
  EXPECT_EQ(tca_kv_cache_clear(cache_), TCA_OK);
  EXPECT_EQ(tca_kv_cache_bytes_used(cache_, &used), TCA_OK);
  EXPECT_EQ(used, 0u);
}

TEST_F(CApi, BackendAnswers) {
  const char* name = nullptr;
  EXPECT_EQ(tca_backend_name(backend_, &name), TCA_OK);
  EXPECT_STREQ(name, "cpu");
  int supported = -1;
  EXPECT_EQ(tca_backend_supports(backend_, TCA_BF16, 128, &supported), TCA_OK);
  EXPECT_EQ(supported, 1);
  EXPECT_EQ(tca_backend_supports(backend_, TCA_BF16, -1, &supported), TCA_OK);
  EXPECT_EQ(supported, 0);
  std::int64_t tokens = -1;
  EXPECT_EQ(tca_backend_break_even_tokens(backend_, 0.2, 64, &tokens), TCA_OK);
  EXPECT_EQ(tokens, cpp_backend_->break_even_tokens(0.2, 64));
  expect_failure(tca_backend_break_even_tokens(backend_, 2, 64, &tokens), TCA_INVALID_ARGUMENT, "kept_share is 2");
  int threads = 0;
  EXPECT_EQ(tca_thread_pool_num_threads(threads_, &threads), TCA_OK);
  EXPECT_EQ(threads, 2);
  tca_backend* none = backend_;
  expect_failure(tca_backend_create("abacus", threads_, &none), TCA_UNSUPPORTED, "abacus");
  EXPECT_EQ(none, nullptr) << "a failed result is null";
}

TEST_F(CApi, CancelStopsPrefill) {
  tca_cancel* cancel = nullptr;
  ASSERT_EQ(tca_cancel_create(&cancel), TCA_OK);
  std::vector<float> out(kTokens * kHeads * kDim);
  tca_prefill_params params = {};
  params.q = c_q(kTokens);
  params.k = c_k();
  params.v = c_v();
  params.out = tca_mutable_contiguous(out.data(), TCA_F32, kTokens, kHeads, kDim);
  params.cancel = cancel;
  EXPECT_EQ(tca_prefill_attention(backend_, &params, 1), TCA_OK) << tca_last_error();
  EXPECT_EQ(tca_cancel_request(cancel), TCA_OK);
  EXPECT_EQ(tca_prefill_attention(backend_, &params, 1), TCA_CANCELLED);
  EXPECT_EQ(tca_cancel_reset(cancel), TCA_OK);
  EXPECT_EQ(tca_prefill_attention(backend_, &params, 1), TCA_OK) << tca_last_error();
  tca_cancel_destroy(cancel);
}

TEST(CApiProfile, LoadPickAndShares) {
  const TemporaryFolder folder;
  tca_profile *parsed = nullptr, *profile = nullptr;
  ASSERT_EQ(tca_profile_parse(kProfile, sizeof(kProfile) - 1, "p", &parsed), TCA_OK) << tca_last_error();
  ASSERT_EQ(tca_profile_save(parsed, folder.file("p.json").c_str()), TCA_OK) << tca_last_error();
  tca_profile_destroy(parsed);
  ASSERT_EQ(tca_profile_load(folder.file("p.json").c_str(), &profile), TCA_OK) << tca_last_error();
  tca_budget budget = {};
  ASSERT_EQ(tca_profile_pick(profile, 0.6, "tail-risk", &budget), TCA_OK) << tca_last_error();
  EXPECT_EQ(budget.kept_share, 0.578125);
  EXPECT_EQ(budget.rule.window, 7);
  EXPECT_EQ(budget.rule.order, TCA_SIMPSON);
  EXPECT_EQ(budget.num_layers, 1);
  EXPECT_EQ(budget.num_kv_heads, 2);
  ASSERT_EQ(budget.num_shares, 5);
  std::vector<double> shares(10);
  ASSERT_EQ(tca_profile_shares(profile, 0.6, "tail-risk", 0, TCA_KEEP, shares.data()), TCA_OK);
  EXPECT_EQ(shares, (std::vector<double>{0, 0, 0, 0, 1, 0.5, 0.25, 0, 0.25, 0}));
  ASSERT_EQ(tca_profile_shares(profile, 0.6, "tail-risk", 0, TCA_ATTEND, shares.data()), TCA_OK);
  EXPECT_EQ(shares, (std::vector<double>{0, 0, 0, 0, 1, 1, 0, 0, 0, 0}));

  double keep = 0;
  const char* measured_on = nullptr;
  ASSERT_EQ(tca_profile_usual_keep(profile, "tail-risk", &keep, &measured_on), TCA_OK) << tca_last_error();
  EXPECT_EQ(keep, 0.6);
  EXPECT_STREQ(measured_on, "a letter");
  ASSERT_EQ(tca_profile_usual_keep(profile, "paper", &keep, &measured_on), TCA_OK) << tca_last_error();
  EXPECT_EQ(keep, 0.39);
  EXPECT_EQ(measured_on, nullptr);

  tca_model_fingerprint model = {};
  ASSERT_EQ(tca_profile_model(profile, &model), TCA_OK);
  EXPECT_STREQ(model.architecture, "A");
  EXPECT_EQ(tca_profile_validate(profile, &model), TCA_OK) << tca_last_error();
  model.num_heads = 6;
  expect_failure(tca_profile_validate(profile, &model), TCA_INVALID_ARGUMENT, "6 heads");
  model.rope = nullptr;
  expect_failure(tca_profile_validate(profile, &model), TCA_INVALID_ARGUMENT, "actual->rope is null");
  expect_failure(tca_profile_pick(profile, 0.6, "x", &budget), TCA_INVALID_ARGUMENT, "'x'");
  expect_failure(tca_profile_shares(profile, 0.6, "tail-risk", 1, TCA_KEEP, shares.data()), TCA_INVALID_ARGUMENT,
                 "layer is 1");
  expect_failure(tca_profile_shares(profile, 0.6, "tail-risk", 0, static_cast<tca_share_kind>(5), shares.data()),
                 TCA_INVALID_ARGUMENT, "kind is 5");
  expect_failure(tca_profile_load(folder.file("none").c_str(), &parsed), TCA_IO, "none");
  expect_failure(tca_profile_parse("{}", 2, "p", &parsed), TCA_BAD_FILE, "p: format is missing");
  EXPECT_EQ(parsed, nullptr);
  tca_profile_destroy(profile);
}

TEST_F(CApi, LoadAsksTheCaller) {
  const TemporaryFolder folder;
  const std::string path = folder.file("cache");
  ASSERT_EQ(tca_kv_cache_save(cache_, path.c_str(), nullptr, 0), TCA_OK) << tca_last_error();
  tca_kv_cache* loaded = nullptr;
  const auto refuse = [](const tca_kv_shape*, const char*, size_t, void*) { return TCA_CANCELLED; };
  expect_failure(tca_kv_cache_load(path.c_str(), kv_pool_, refuse, nullptr, &loaded), TCA_CANCELLED, "refused");
  EXPECT_EQ(loaded, nullptr);
  EXPECT_EQ(tca_kv_cache_load(path.c_str(), kv_pool_, nullptr, nullptr, &loaded), TCA_OK) << tca_last_error();
  tca_kv_cache_destroy(loaded);
}

}  // namespace
}  // namespace tca::testing
