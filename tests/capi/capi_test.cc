// The C API gives what the C++ API gives, and turns every error into a status and a message.
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "capi/c_program.h"
#include "core/temporary_folder.h"
#include "tca/backend.h"
#include "tca/tca.h"

namespace tca {
namespace {

using testing::TemporaryFolder;

class CProgram : public ::testing::TestWithParam<std::string> {};

TEST_P(CProgram, TakesAWholeTurn) {
  const TemporaryFolder folder;
  const char* const failed = run_c_program(GetParam().c_str(), folder.file("cache").c_str());
  EXPECT_EQ(failed, nullptr) << failed;
}

INSTANTIATE_TEST_SUITE_P(Backends, CProgram, ::testing::ValuesIn(available_backends()),
                         [](const auto& test) { return test.param; });

constexpr std::int32_t kHeads = 4, kKvHeads = 2, kDim = 64;
constexpr std::int64_t kTokens = 200, kProbes = 16;
constexpr std::int32_t kNumShares = 8;

struct Noise {
  explicit Noise(std::int64_t count, unsigned seed) : values(static_cast<std::size_t>(count)) {
    std::mt19937 random(seed);
    for (float& value : values) value = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  }
  std::vector<float> values;
};

// The same problem through both interfaces.
class CApi : public ::testing::Test {
 protected:
  CApi() : cpp_backend_(create_backend("cpu", cpp_pool_)) {
    EXPECT_EQ(tca_thread_pool_create(2, &threads_), TCA_OK);
    EXPECT_EQ(tca_backend_create("cpu", threads_, &backend_), TCA_OK) << tca_last_error();
    EXPECT_EQ(tca_kv_pool_create(1 << 22, kDim, TCA_F32, &kv_pool_), TCA_OK);
    const tca_kv_shape shape = {1, kKvHeads, kDim, TCA_F32};
    EXPECT_EQ(tca_kv_cache_create(kv_pool_, &shape, &cache_), TCA_OK) << tca_last_error();
  }
  ~CApi() override {
    tca_kv_cache_destroy(cache_);
    tca_kv_pool_destroy(kv_pool_);
    tca_backend_destroy(backend_);
    tca_thread_pool_destroy(threads_);
  }

  tca_tensor c_q(std::int64_t n) const {
    return tca_contiguous(q_.values.data() + (kTokens - n) * kHeads * kDim, TCA_F32, n, kHeads, kDim);
  }
  tca_tensor c_k() const { return tca_contiguous(k_.values.data(), TCA_F32, kTokens, kKvHeads, kDim); }
  tca_tensor c_v() const { return tca_contiguous(v_.values.data(), TCA_F32, kTokens, kKvHeads, kDim); }
  static TensorView cpp(const tca_tensor& view) {
    return contiguous(view.data, DType::kF32, view.num_tokens, view.num_heads, view.head_dim);
  }

  tca_select_params select_params() const {
    tca_select_params params = {};
    params.q = c_q(kProbes);
    params.k = c_k();
    params.shares = shares_.data();
    params.num_shares = kNumShares;
    params.rule = tca_selection_rule_default();
    params.rule.probe_queries = kProbes;
    return params;
  }
  KeptSet cpp_select() const {
    const std::vector<BlockShares> shares = {{{shares_.begin(), shares_.begin() + kNumShares}},
                                             {{shares_.begin() + kNumShares, shares_.end()}}};
    SelectionRule rule;
    rule.probe_queries = kProbes;
    return cpp_backend_->select({.q = cpp(c_q(kProbes)), .k = cpp(c_k()), .shares = shares, .rule = rule});
  }

  const Noise q_{kTokens * kHeads * kDim, 1}, k_{kTokens * kKvHeads * kDim, 2}, v_{kTokens * kKvHeads * kDim, 3};
  // Blocks keep all or a half; a quarter or nothing.
  const std::vector<double> shares_ = {0, 0, 0, 0, 0, 0, 0.5, 0.5, 0.5, 0, 0, 0, 0, 0.5, 0, 0};
  ThreadPool cpp_pool_{2};
  std::unique_ptr<Backend> cpp_backend_;
  tca_thread_pool* threads_ = nullptr;
  tca_backend* backend_ = nullptr;
  tca_kv_pool* kv_pool_ = nullptr;
  tca_kv_cache* cache_ = nullptr;
};

void expect_failure(tca_status status, tca_status expected, const std::string& named) {
  EXPECT_STREQ(tca_status_name(status), tca_status_name(expected)) << tca_last_error();
  EXPECT_NE(std::string(tca_last_error()).find(named), std::string::npos)
      << "'" << tca_last_error() << "' does not name '" << named << "'";
}

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
  std::vector<float> deltas(3 * kHeads), cpp_deltas(deltas.size());
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

const char kProfile[] = R"({"format": "tca-profile/1",
 "model": {"architecture": "A", "num_layers": 1, "num_heads": 4, "num_kv_heads": 2, "head_dim": 64, "rope": "r",
           "vocab_size": 9, "weights_sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
 "rule": {"block_size": 8, "window": 7, "sinks": 4, "probe_queries": 32, "pool_width": 7, "order": "simpson"},
 "provenance": {"text_sha256": "", "calibration_tokens": 1, "seed": 1, "version": "", "date": ""},
 "budgets": [{"objective": "tail-risk", "budget": 0.6, "kept_share": 0.578125, "layers": [[
   {"keep": [0, 0, 0, 0, 1], "risk_p95": 0, "mean_dropped": 0, "kept_share": 1},
   {"keep": [0.5, 0.25, 0, 0.25, 0], "attend": [1, 0, 0, 0, 0], "risk_p95": 0.03, "mean_dropped": 0.01,
    "kept_share": 0.15625}]]}]})";

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
      [&] { return tca_profile_shares(nullptr, 0.6, "tail-risk", 0, TCA_KEEP, &share); },
      [&] { return tca_profile_shares(profile, 0.6, "tail-risk", 0, TCA_KEEP, nullptr); },
      [&] { return tca_kept_set_create(5, 2, nullptr, nullptr, &set); },
      [&] { return tca_kept_set_create(5, 2, offsets, nullptr, &set); },
      [&] { return tca_kept_set_num_tokens(nullptr, &wide); },
      [&] { return tca_kept_set_num_kv_heads(nullptr, &narrow); },
      [&] { return tca_kept_set_head(nullptr, 0, &positions, &wide); },
      [&] { return tca_kv_pool_create(1, 64, TCA_F32, nullptr); },
      [&] { return tca_kv_pool_get_info(nullptr, &info); },
      [&] { return tca_kv_pool_get_info(kv_pool_, nullptr); },
      [&] { return tca_kv_cache_create(nullptr, &shape, &cache); },
      [&] { return tca_kv_cache_create(kv_pool_, nullptr, &cache); },
      [&] { return tca_kv_cache_create(kv_pool_, &shape, nullptr); },
      [&] { return tca_kv_cache_fork(nullptr, &cache); },
      [&] { return tca_kv_cache_fork(cache_, nullptr); },
      [&] { return tca_kv_cache_shape(nullptr, &found_shape); },
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
  select.rule.order = static_cast<tca_block_order>(2);
  expect_failure(tca_select(backend_, &select, &set), TCA_INVALID_ARGUMENT, "rule.order is 2");
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
  expect_failure(tca_kv_pool_create(1, 64, static_cast<tca_dtype>(-1), &pool), TCA_INVALID_ARGUMENT, "dtype is -1");
  tca_tail_score_params tail = {};
  tail.count = -1;
  expect_failure(tca_tail_scores(backend_, &tail, 1), TCA_INVALID_ARGUMENT, "count is -1");

  ASSERT_EQ(tca_kv_pool_create(100, kDim, TCA_F32, &pool), TCA_OK);
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
}  // namespace tca
