// One problem, the same through both interfaces.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tca/backend.h"
#include "tca/tca.h"

namespace tca::testing {

inline constexpr std::int32_t kHeads = 4, kKvHeads = 2, kDim = 64;
inline constexpr std::int64_t kTokens = 200, kProbes = 16;
inline constexpr std::int32_t kNumShares = 8;

struct Noise {
  explicit Noise(std::int64_t count, unsigned seed) : values(static_cast<std::size_t>(count)) {
    std::mt19937 random(seed);
    for (float& value : values) value = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  }
  std::vector<float> values;
};

class CApi : public ::testing::Test {
 protected:
  CApi() : cpp_backend_(create_backend("cpu", cpp_pool_)) {
    EXPECT_EQ(tca_thread_pool_create(2, &threads_), TCA_OK);
    EXPECT_EQ(tca_backend_create("cpu", threads_, &backend_), TCA_OK) << tca_last_error();
    EXPECT_EQ(tca_kv_pool_create(backend_, 1 << 22, kDim, TCA_F32, &kv_pool_), TCA_OK);
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

inline void expect_failure(tca_status status, tca_status expected, const std::string& named) {
  EXPECT_STREQ(tca_status_name(status), tca_status_name(expected)) << tca_last_error();
  EXPECT_NE(std::string(tca_last_error()).find(named), std::string::npos)
      << "'" << tca_last_error() << "' does not name '" << named << "'";
}

inline constexpr char kProfile[] = R"({"format": "tca-profile/2",
 "model": {"architecture": "A", "num_layers": 1, "num_heads": 4, "num_kv_heads": 2, "head_dim": 64, "rope": "r",
           "vocab_size": 9, "weights_sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
 "rule": {"block_size": 8, "window": 7, "sinks": 4, "probe_queries": 32, "pool_width": 7, "order": "simpson"},
 "provenance": {"text_sha256": "", "calibration_tokens": 1, "seed": 1, "version": "", "date": ""},
 "default": {"objective": "tail-risk", "keep": 0.6, "measured_on": "a letter"},
 "budgets": [{"objective": "tail-risk", "budget": 0.6, "kept_share": 0.578125, "layers": [[
   {"keep": [0, 0, 0, 0, 1], "risk_p95": 0, "mean_dropped": 0, "kept_share": 1},
   {"keep": [0.5, 0.25, 0, 0.25, 0], "attend": [1, 0, 0, 0, 0], "risk_p95": 0.03, "mean_dropped": 0.01,
    "kept_share": 0.15625}]]}]})";

}  // namespace tca::testing
