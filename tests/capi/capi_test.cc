// The C API gives what the C++ API gives.
#include <gtest/gtest.h>

#include <cmath>
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
  EXPECT_EQ(tca_kept_set_create(kTokens, kKvHeads, expected.offsets().data(), expected.positions().data(), &copy),
            TCA_OK);
  tca_kept_set_destroy(copy);
  tca_kept_set_destroy(kept);
}

TEST_F(CApi, TokenOrderAndProbesThatFollowEqualCpp) {
  tca_probe_params probe = {};
  probe.q = c_q(kTokens);
  probe.k = c_k();
  probe.k.num_tokens = 50;  // fewer than probes
  probe.pool_width = 7;
  probe.probes_follow = 1;
  std::vector<float> scores(kKvHeads * 50), cpp_scores(scores.size());
  ASSERT_EQ(tca_probe_scores(backend_, &probe, scores.data()), TCA_OK) << tca_last_error();
  cpp_backend_->probe_scores({.q = cpp(probe.q), .k = cpp(probe.k), .probes_follow = true}, cpp_scores);
  EXPECT_EQ(scores, cpp_scores);

  const std::int32_t windows[] = {30, 0};
  tca_select_params params = select_params();
  params.rule.order = TCA_TOKENS;
  params.windows = windows;
  params.probes_follow = 1;
  params.reduce = TCA_PROBE_MAX;
  tca_kept_set* kept = nullptr;
  ASSERT_EQ(tca_select(backend_, &params, &kept), TCA_OK) << tca_last_error();
  const std::vector<BlockShares> shares = {{{shares_.begin(), shares_.begin() + kNumShares}},
                                           {{shares_.begin() + kNumShares, shares_.end()}}};
  const KeptSet expected = cpp_backend_->select({.q = cpp(params.q),
                                                 .k = cpp(params.k),
                                                 .shares = shares,
                                                 .rule = {.probe_queries = kProbes, .order = BlockOrder::kTokens},
                                                 .probes_follow = true,
                                                 .reduce = ProbeReduce::kMax,
                                                 .windows = windows});
  for (std::int32_t h = 0; h < kKvHeads; ++h) {
    const std::int32_t* positions = nullptr;
    std::int64_t count = 0;
    EXPECT_EQ(tca_kept_set_head(kept, h, &positions, &count), TCA_OK);
    // Three quarters and an eighth of what is neither sink nor window.
    EXPECT_EQ(count, h == 0 ? 4 + 30 + 125 : 4 + 25);
    EXPECT_EQ(std::vector<std::int32_t>(positions, positions + count),
              std::vector<std::int32_t>(expected.head(h).begin(), expected.head(h).end()));
  }
  tca_kept_set_destroy(kept);
}

TEST_F(CApi, AttentionEqualsCpp) {
  const KeptSet cpp_kept = cpp_select();
  tca_kept_set* kept = nullptr;
  ASSERT_EQ(tca_kept_set_create(kTokens, kKvHeads, cpp_kept.offsets().data(), cpp_kept.positions().data(), &kept),
            TCA_OK);
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
    EXPECT_GT(certificates[h].output_norm, 0);
    EXPECT_EQ(certificates[h].output_norm, cpp_certificates[h].output_norm);
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
  std::int64_t limit = -1;
  EXPECT_EQ(tca_kv_cache_truncation_limit(cache_, &limit), TCA_OK);
  EXPECT_EQ(limit, 0);
  expect_failure(tca_kv_cache_truncate(cache_, kTokens + 1), TCA_INVALID_ARGUMENT, "has seen");
  EXPECT_EQ(tca_kv_cache_truncate(cache_, 3), TCA_OK);
  EXPECT_EQ(tca_kv_cache_num_tokens(cache_, 0, &seen), TCA_OK);
  EXPECT_EQ(seen, 3);
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

TEST(CApiProfile, CurvesAndBank) {
  Profile curves;
  curves.model = {"LlamaForCausalLM", 2, 2, 1, 2, "default theta=10000", 100, std::string(64, 'a')};
  curves.rule = {.block_size = 8, .window = 4, .sinks = 2, .pool_width = 1, .order = BlockOrder::kTokens};
  AnswerRisk& answers = curves.answer_risk.emplace();
  answers.rule = curves.rule;
  answers.keep = {.windows = {2}, .shares = {0, .5, 1}, .heads = {{{4, 1, 0}}, {{8, 1, 0}}}};
  answers.bank = {.queries = 1, .distance = 20, .values = {1, 2, 3, 4, 5, 6, 7, 8}};
  const std::string text = curves.to_json();
  tca_profile* profile = nullptr;
  ASSERT_EQ(tca_profile_parse(text.c_str(), text.size(), "p", &profile), TCA_OK) << tca_last_error();
  const char* objective = nullptr;
  ASSERT_EQ(tca_profile_usual_objective(profile, &objective), TCA_OK);
  EXPECT_STREQ(objective, "answer-risk");
  double shares[2] = {};
  int32_t windows[2] = {};
  tca_allocation allocation = {};
  // Of 104 tokens 4 are held anyway; half of the others of the second layer is worth most.
  ASSERT_EQ(tca_profile_allocate(profile, (4 + 4 + 50) / 104.0 / 2, 104, INFINITY, shares, windows, &allocation),
            TCA_OK);
  EXPECT_EQ(shares[0], 0);
  EXPECT_EQ(shares[1], .5);
  EXPECT_EQ(windows[1], 2);
  EXPECT_EQ(allocation.risk, 5);
  EXPECT_EQ(allocation.rule.order, TCA_TOKENS);
  tca_query_bank bank = {};
  ASSERT_EQ(tca_profile_bank(profile, 1, &bank), TCA_OK);
  EXPECT_EQ(bank.queries[0], 5);
  EXPECT_EQ(bank.distance, 20);
  EXPECT_EQ(tca_profile_bank(profile, 2, &bank), TCA_INVALID_ARGUMENT);
  EXPECT_NE(std::string(tca_last_error()).find("layer is 2"), std::string::npos);
  EXPECT_EQ(tca_profile_allocate(profile, 2, 104, INFINITY, shares, windows, &allocation), TCA_INVALID_ARGUMENT);
  ASSERT_EQ(tca_profile_allocate(profile, 0, 104, 5, shares, windows, &allocation), TCA_OK);
  EXPECT_EQ(allocation.risk, 5);
  tca_profile_destroy(profile);
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
  ASSERT_EQ(tca_profile_shares(profile, budget.index, 0, TCA_KEEP, shares.data()), TCA_OK);
  EXPECT_EQ(shares, (std::vector<double>{0, 0, 0, 0, 1, 0.5, 0.25, 0, 0.25, 0}));
  ASSERT_EQ(tca_profile_shares(profile, budget.index, 0, TCA_ATTEND, shares.data()), TCA_OK);
  EXPECT_EQ(shares, (std::vector<double>{0, 0, 0, 0, 1, 1, 0, 0, 0, 0}));

  EXPECT_STREQ(budget.objective, "tail-risk");
  EXPECT_EQ(budget.budget, 0.6);
  std::size_t num_budgets = 0;
  ASSERT_EQ(tca_profile_num_budgets(profile, &num_budgets), TCA_OK);
  EXPECT_EQ(num_budgets, 1u);
  tca_budget same = {};
  ASSERT_EQ(tca_profile_budget(profile, 0, &same), TCA_OK);
  EXPECT_EQ(same.kept_share, budget.kept_share);
  expect_failure(tca_profile_budget(profile, 1, &same), TCA_INVALID_ARGUMENT, "index is 1");
  tca_head_profile head = {};
  ASSERT_EQ(tca_profile_head(profile, 0, 0, 1, &head), TCA_OK);
  EXPECT_EQ(head.risk, 0.03);
  EXPECT_EQ(head.mean_dropped, 0.01);
  EXPECT_EQ(head.attends_more, 1);
  ASSERT_EQ(tca_profile_head(profile, 0, 0, 0, &head), TCA_OK);
  EXPECT_EQ(head.attends_more, 0);
  expect_failure(tca_profile_head(profile, 0, 0, 2, &head), TCA_INVALID_ARGUMENT, "kv_head is 2");
  const std::vector<double> current = {0.5, 0.25, 0, 0.25, 0};
  std::vector<double> richer(5);
  ASSERT_EQ(tca_profile_richer(profile, current.data(), 5, 0, 1, "tail-risk", richer.data()), TCA_OK);
  EXPECT_EQ(richer, (std::vector<double>{0, 0, 0, 0, 1})) << "after the last configuration comes all";
  expect_failure(tca_profile_richer(profile, current.data(), 4, 0, 1, "tail-risk", richer.data()), TCA_INVALID_ARGUMENT,
                 "num_shares is 4");

  tca_provenance provenance = {};
  ASSERT_EQ(tca_profile_provenance(profile, &provenance), TCA_OK);
  EXPECT_EQ(provenance.calibration_tokens, 1);
  EXPECT_EQ(provenance.seed, 1u);
  EXPECT_STREQ(provenance.date, "");
  std::size_t size = 0;
  ASSERT_EQ(tca_profile_to_json(profile, nullptr, 0, &size), TCA_OK);
  std::vector<char> json(size + 1);
  ASSERT_EQ(tca_profile_to_json(profile, json.data(), json.size(), &size), TCA_OK);
  EXPECT_EQ(std::string(json.data()), Profile::load(folder.file("p.json")).to_json());

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
  const std::string described = Profile::load(folder.file("p.json")).model.describe();
  std::vector<char> line(10, 'x');
  ASSERT_EQ(tca_model_fingerprint_describe(&model, line.data(), line.size(), &size), TCA_OK);
  EXPECT_EQ(size, described.size());
  EXPECT_EQ(std::string(line.data()), described.substr(0, 9)) << "cut, with its terminating 0";
  EXPECT_STREQ(model.architecture, "A");
  EXPECT_EQ(tca_profile_validate(profile, &model), TCA_OK) << tca_last_error();
  model.num_heads = 6;
  expect_failure(tca_profile_validate(profile, &model), TCA_INVALID_ARGUMENT, "6 heads");
  model.rope = nullptr;
  expect_failure(tca_profile_validate(profile, &model), TCA_INVALID_ARGUMENT, "actual->rope is null");
  expect_failure(tca_profile_pick(profile, 0.6, "x", &budget), TCA_INVALID_ARGUMENT, "'x'");
  expect_failure(tca_profile_shares(profile, budget.index, 1, TCA_KEEP, shares.data()), TCA_INVALID_ARGUMENT,
                 "layer is 1");
  expect_failure(tca_profile_shares(profile, budget.index, 0, static_cast<tca_share_kind>(5), shares.data()),
                 TCA_INVALID_ARGUMENT, "kind is 5");
  expect_failure(tca_profile_load(folder.file("none").c_str(), &parsed), TCA_IO, "none");
  expect_failure(tca_profile_parse("{}", 2, "p", &parsed), TCA_BAD_FILE, "p: format is missing");
  EXPECT_EQ(parsed, nullptr);
  tca_profile_destroy(profile);
}

TEST(CApiShares, OfBlocks) {
  std::vector<double> shares(8);
  double kept = -1;
  ASSERT_EQ(tca_block_shares_full(64, shares.data()), TCA_OK);
  EXPECT_EQ(shares, BlockShares::full(64).share);
  ASSERT_EQ(tca_block_shares_kept_share(shares.data(), 8, &kept), TCA_OK);
  EXPECT_EQ(kept, 1);
  ASSERT_EQ(tca_block_shares_window(64, shares.data()), TCA_OK);
  EXPECT_EQ(shares, BlockShares::window(64).share);
  ASSERT_EQ(tca_block_shares_kept_share(shares.data(), 8, &kept), TCA_OK);
  EXPECT_EQ(kept, 0);
  expect_failure(tca_block_shares_full(65, shares.data()), TCA_INVALID_ARGUMENT, "block_size is 65");
  expect_failure(tca_block_shares_kept_share(shares.data(), 11, &kept), TCA_INVALID_ARGUMENT, "num_shares is 11");
}

TEST(CApiTensors, ViewsOfViews) {
  EXPECT_EQ(tca_dtype_size(TCA_F32), 4u);
  EXPECT_EQ(tca_dtype_size(TCA_BF16), 2u);
  EXPECT_EQ(tca_dtype_size(static_cast<tca_dtype>(9)), 0u);
  EXPECT_STREQ(tca_dtype_name(TCA_F16), "fp16");
  EXPECT_STREQ(tca_dtype_name(static_cast<tca_dtype>(9)), "unknown");
  std::vector<float> values(5 * 3 * 2);
  const tca_tensor all = tca_contiguous(values.data(), TCA_F32, 5, 3, 2);
  EXPECT_EQ(tca_tensor_row(all, 4, 2), &values[4 * 6 + 4]);
  const tca_tensor part = tca_tensor_tokens(all, 2, 3);
  EXPECT_EQ(part.data, &values[12]);
  EXPECT_EQ(part.num_tokens, 3);
  EXPECT_EQ(part.token_stride, 6);
  const tca_mutable_tensor out = tca_mutable_contiguous(values.data(), TCA_F32, 5, 3, 2);
  EXPECT_EQ(tca_mutable_tensor_row(out, 1, 1), &values[8]);
  EXPECT_EQ(tca_mutable_tensor_tokens(out, 4, 1).data, &values[24]);
}

TEST_F(CApi, ThreadsRunTasks) {
  std::vector<int> done(100, 0);
  const auto task = [](std::int64_t index, int worker, void* user) {
    static_cast<std::vector<int>*>(user)->at(static_cast<std::size_t>(index)) += worker < 2 ? 1 : 100;
  };
  ASSERT_EQ(tca_thread_pool_parallel_for(threads_, 100, task, &done), TCA_OK);
  EXPECT_EQ(done, std::vector<int>(100, 1));
  expect_failure(tca_thread_pool_parallel_for(threads_, -1, task, &done), TCA_INVALID_ARGUMENT, "count is -1");
}

TEST_F(CApi, BackendsAndTheirStreams) {
  std::vector<std::string> names;
  for (const char* name = "";; names.emplace_back(name)) {
    ASSERT_EQ(tca_available_backend(names.size(), &name), TCA_OK);
    if (name == nullptr) break;
  }
  EXPECT_EQ(names, available_backends());
  const char* isa = nullptr;
  ASSERT_EQ(tca_backend_isa(backend_, &isa), TCA_OK);
  EXPECT_EQ(isa, cpp_backend_->capabilities().isa);
  int found = -1;
  tca_stream stream = {7, &found};
  ASSERT_EQ(tca_backend_stream(backend_, &found, &stream), TCA_OK);
  EXPECT_EQ(found, 0);
  EXPECT_EQ(stream.handle, nullptr);
  EXPECT_EQ(tca_backend_synchronize(backend_), TCA_OK);
  tca_backend* none = nullptr;
  expect_failure(tca_backend_create_on_stream("cpu", threads_, &stream, &none), TCA_INVALID_ARGUMENT, "no streams");
}

TEST_F(CApi, PoolsAreTheBackends) {
  tca_kv_pool_info info = {};
  for (const tca_backend* backend :
       {static_cast<const tca_backend*>(nullptr), static_cast<const tca_backend*>(backend_)}) {
    tca_kv_pool* pool = nullptr;
    ASSERT_EQ(tca_kv_pool_create(backend, 1 << 20, kDim, TCA_BF16, &pool), TCA_OK) << tca_last_error();
    ASSERT_EQ(tca_kv_pool_get_info(pool, &info), TCA_OK);
    EXPECT_EQ(info.layout, TCA_PAGE_ROWS);
    tca_kv_pool_destroy(pool);
  }
  tca_kv_pool* again = nullptr;
  ASSERT_EQ(tca_kv_cache_pool(cache_, &again), TCA_OK);
  ASSERT_EQ(tca_kv_pool_get_info(again, &info), TCA_OK);
  EXPECT_EQ(info.budget_bytes, std::size_t{1} << 22);
  tca_kv_pool_destroy(again);
}

TEST_F(CApi, ReserveAndPosition) {
  ASSERT_EQ(tca_kv_cache_reserve(cache_, 65), TCA_OK) << tca_last_error();
  tca_kv_pool_info info = {};
  ASSERT_EQ(tca_kv_pool_get_info(kv_pool_, &info), TCA_OK);
  EXPECT_EQ(info.used_bytes, kKvHeads * 2 * info.page_bytes);
  expect_failure(tca_kv_cache_reserve(cache_, 1 << 30), TCA_OUT_OF_BUDGET, "bytes free");
  const tca_tensor k = c_k(), v = c_v();
  ASSERT_EQ(tca_kv_cache_store(cache_, 0, &k, &v, nullptr, 0), TCA_OK);
  std::int32_t position = -1;
  ASSERT_EQ(tca_kv_cache_position(cache_, 0, 1, 77, &position), TCA_OK);
  EXPECT_EQ(position, 77);
  expect_failure(tca_kv_cache_position(cache_, 0, 1, kTokens, &position), TCA_INVALID_ARGUMENT, "slot is 200");
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
