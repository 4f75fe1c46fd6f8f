// Bad parameters: every backend refuses them with kInvalidArgument and a message that names the parameter; what a
// backend cannot serve is kUnsupported.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "backend/compare.h"
#include "tca/error.h"

namespace tca::backend_test {
namespace {

const Case kCase{.group = "parameters",
                 .tokens = 20,
                 .past = PastKind::kDense,
                 .past_tokens = 10,
                 .num_heads = 4,
                 .num_kv_heads = 2,
                 .kept = Kept::kMixed};

std::vector<const Backend*> everyone() {
  std::vector<const Backend*> backends = {&oracle()};
  for (const BackendOfCase& named : backends_for(kCase)) backends.push_back(named.backend);
  return backends;
}

void expect_refusal(const std::function<void(const Backend&)>& call, const std::string& named,
                    ErrorCategory category = ErrorCategory::kInvalidArgument) {
  for (const Backend* backend : everyone()) {
    try {
      call(*backend);
      ADD_FAILURE() << backend->name() << " accepted what should name " << named;
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), category) << error.what();
      EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what() << "\nshould name " << named;
    }
  }
}

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

class Prefill : public testing::Test {
 protected:
  void expect_bad(const std::string& named, const std::function<void(PrefillParams&)>& spoil) {
    Output output = problem_.output();
    PrefillParams params = problem_.prefill(output);
    spoil(params);
    expect_refusal([&](const Backend& backend) { backend.prefill_attention({&params, 1}); }, named);
  }
  Problem problem_{kCase};
  KeptSet kept_ = *problem_.kept();
};

TEST_F(Prefill, Views) {
  expect_bad("q.data", [](PrefillParams& p) { p.q.data = nullptr; });
  expect_bad("v.data", [](PrefillParams& p) { p.v.data = nullptr; });
  expect_bad("out.data", [](PrefillParams& p) { p.out.data = nullptr; });
  expect_bad("k.num_tokens is -1", [](PrefillParams& p) { p.k.num_tokens = -1; });
  expect_bad("k.num_heads is 0", [](PrefillParams& p) { p.k.num_heads = 0; });
  expect_bad("k.head_dim is 0", [](PrefillParams& p) { p.k.head_dim = 0; });
  expect_bad("q.dtype is 7", [](PrefillParams& p) { p.q.dtype = static_cast<DType>(7); });
  expect_bad("k.token_stride is 63", [](PrefillParams& p) { p.k.token_stride = 63; });
  expect_bad("v.head_stride is -64", [](PrefillParams& p) { p.v.head_stride = -64; });
  expect_bad("larger than the address space",
             [](PrefillParams& p) { p.k.token_stride = std::numeric_limits<std::int64_t>::max() / 2; });
  expect_bad("rows overlap", [](PrefillParams& p) { p.out.token_stride = 64; });
}

TEST_F(Prefill, ViewsThatDoNotFitEachOther) {
  expect_bad("q.num_heads is 3", [](PrefillParams& p) { p.q.num_heads = 3; });
  expect_bad("q.head_dim is 32", [](PrefillParams& p) { p.q.head_dim = 32; });
  expect_bad("q.dtype is bf16", [](PrefillParams& p) { p.q.dtype = DType::kBF16; });
  expect_bad("v is [19", [](PrefillParams& p) { p.v.num_tokens = 19; });
  expect_bad("v.dtype is fp16", [](PrefillParams& p) { p.v.dtype = DType::kF16; });
  expect_bad("out is [20, 2", [](PrefillParams& p) { p.out.num_heads = 2; });
  expect_bad("q.num_tokens is 21", [](PrefillParams& p) { p.q.num_tokens = 21; });
  expect_bad("q.num_tokens is 0", [](PrefillParams& p) { p.q.num_tokens = p.out.num_tokens = 0; });
  expect_bad("memory of q", [](PrefillParams& p) {
    p.out.data = const_cast<void*>(p.q.data);
    p.out.dtype = DType::kBF16;
  });
  expect_bad("lse has 79", [](PrefillParams& p) { p.lse = p.lse.first(79); });
}

TEST_F(Prefill, Scalars) {
  expect_bad("window is 0", [](PrefillParams& p) { p.window = 0; });
  expect_bad("sinks is -1", [](PrefillParams& p) { p.sinks = -1; });
  expect_bad("scale", [](PrefillParams& p) { p.scale = kNaN; });
  expect_bad("scale is -1", [](PrefillParams& p) { p.scale = -1; });
  expect_bad("scale", [](PrefillParams& p) { p.scale = std::numeric_limits<float>::infinity(); });
}

TEST_F(Prefill, Past) {
  expect_bad("layer is 2", [](PrefillParams& p) { p.past.layer = 2; });
  expect_bad("layer is -1", [](PrefillParams& p) { p.past.layer = -1; });
  Case other = kCase;
  other.num_kv_heads = 4;
  const Problem four_heads(other);
  expect_bad("past.cache has 4", [&](PrefillParams& p) { p.past = four_heads.past(); });
  other = kCase;
  other.head_dim = 96;
  const Problem wide(other);
  expect_bad("past.cache has 96", [&](PrefillParams& p) { p.past = wide.past(); });
  other = kCase;
  other.dtype = DType::kF16;
  const Problem halves(other);
  expect_bad("past.cache has fp16", [&](PrefillParams& p) { p.past = halves.past(); });
}

TEST_F(Prefill, KeptSet) {
  struct Parts {
    std::int64_t num_tokens;
    std::vector<std::int64_t> offsets;
    std::vector<std::int32_t> positions;
  };
  const auto expect_bad_kept = [&](const std::string& named, const std::function<void(Parts&)>& spoil) {
    Parts parts{kept_.num_tokens(), kept_.offsets(), kept_.positions()};
    spoil(parts);
    const KeptSet kept(parts.num_tokens, parts.offsets, parts.positions);
    expect_bad(named, [&](PrefillParams& p) { p.kept = &kept; });
  };
  expect_bad_kept("kept.num_tokens is 21", [](Parts& parts) { parts.num_tokens = 21; });
  expect_bad_kept("kept.offsets has 2", [](Parts& parts) { parts.offsets.pop_back(); });
  expect_bad_kept("kept.offsets has 0", [](Parts& parts) { parts.offsets.clear(); });
  expect_bad_kept("kept.offsets[0] is 1", [](Parts& parts) { parts.offsets[0] = 1; });
  expect_bad_kept("kept.offsets ends", [](Parts& parts) { parts.offsets.back() += 1; });
  expect_bad_kept("kept.offsets falls", [](Parts& parts) { parts.offsets[1] = 1000; });
  expect_bad_kept("kept.positions", [](Parts& parts) { parts.positions[0] = -1; });
  expect_bad_kept("kept.positions", [](Parts& parts) { parts.positions[19] = 20; });
  expect_bad_kept("kept.positions", [](Parts& parts) { std::swap(parts.positions[3], parts.positions[4]); });
  expect_bad_kept("kept.positions", [](Parts& parts) { parts.positions[4] = parts.positions[3]; });
}

TEST_F(Prefill, ABadItemOfABatchLeavesTheOthersUntouched) {
  Output first = problem_.output(), second = problem_.output();
  std::vector<PrefillParams> batch = {problem_.prefill(first), problem_.prefill(second)};
  batch[1].window = -5;
  expect_refusal([&](const Backend& backend) { backend.prefill_attention(batch); }, "batch item 1: window is -5");
  EXPECT_TRUE(std::isnan(first.out.at(0, 0, 0)));
}

TEST_F(Prefill, CancelIsHeard) {
  const std::atomic<bool> cancel = true;
  Output output = problem_.output();
  PrefillParams params = problem_.prefill(output);
  params.cancel = &cancel;
  expect_refusal(
      [&](const Backend& backend) {
        backend.prefill_attention({&params, 1});
      },
      "cancel", ErrorCategory::kCancelled);
}

TEST(Decode, BadParameters) {
  Problem problem(kCase);
  problem.store_segment();
  Output output = problem.output();
  const auto expect_bad = [&](const std::string& named, const std::function<void(DecodeParams&)>& spoil) {
    DecodeParams params = problem.decode(output);
    spoil(params);
    expect_refusal([&](const Backend& backend) { backend.decode_attention({&params, 1}); }, named);
  };
  expect_bad("cache is null", [](DecodeParams& p) { p.cache = nullptr; });
  expect_bad("layer is 9", [](DecodeParams& p) { p.layer = 9; });
  expect_bad("q.num_heads is 3", [](DecodeParams& p) { p.q.num_heads = 3; });
  expect_bad("q.head_dim is 48", [](DecodeParams& p) { p.q.head_dim = 48; });
  expect_bad("q.dtype is bf16", [](DecodeParams& p) { p.q.dtype = DType::kBF16; });
  expect_bad("q.num_tokens is 0", [](DecodeParams& p) { p.q.num_tokens = 0; });
  expect_bad("q.num_tokens is 31", [](DecodeParams& p) { p.q.num_tokens = 31; });  // 30 are stored
  expect_bad("out.data", [](DecodeParams& p) { p.out.data = nullptr; });
  expect_bad("lse has 1", [](DecodeParams& p) { p.lse = p.lse.first(1); });
  expect_bad("scale", [](DecodeParams& p) { p.scale = kNaN; });
}

TEST(TailScores, BadParameters) {
  Problem problem(kCase);
  problem.store_segment();
  const std::vector<float> lse(80);
  std::vector<float> out(30);
  const auto expect_bad = [&](const std::string& named, const std::function<void(TailScoreParams&)>& spoil) {
    TailScoreParams params{.q = problem.q(),
                           .lse = lse,
                           .cache = problem.cache(),
                           .layer = Problem::kLayer,
                           .kv_head = 1,
                           .count = 30,
                           .out = out};
    spoil(params);
    expect_refusal([&](const Backend& backend) { backend.tail_scores({&params, 1}); }, named);
  };
  expect_bad("cache is null", [](TailScoreParams& p) { p.cache = nullptr; });
  expect_bad("layer is -1", [](TailScoreParams& p) { p.layer = -1; });
  expect_bad("kv_head is 2", [](TailScoreParams& p) { p.kv_head = 2; });
  expect_bad("kv_head is -1", [](TailScoreParams& p) { p.kv_head = -1; });
  expect_bad("count is 31", [](TailScoreParams& p) { p.count = 31; });
  expect_bad("count is -1", [](TailScoreParams& p) { p.count = -1; });
  expect_bad("q.num_tokens is 0", [](TailScoreParams& p) { p.q.num_tokens = 0; });
  expect_bad("lse has 79", [](TailScoreParams& p) { p.lse = p.lse.first(79); });
  expect_bad("out has 29", [](TailScoreParams& p) { p.out = p.out.first(29); });
}

TEST(Probe, BadParameters) {
  const Problem problem(kCase);
  std::vector<float> out(40);
  const auto expect_bad = [&](const std::string& named, const std::function<void(ProbeParams&)>& spoil) {
    ProbeParams params = problem.probe(7);
    spoil(params);
    expect_refusal([&](const Backend& backend) { backend.probe_scores(params, out); }, named);
  };
  expect_bad("pool_width is 4", [](ProbeParams& p) { p.pool_width = 4; });
  expect_bad("pool_width is -1", [](ProbeParams& p) { p.pool_width = -1; });
  expect_bad("q.num_tokens is 0", [](ProbeParams& p) { p.q.num_tokens = 0; });
  expect_bad("q.num_tokens is 21", [](ProbeParams& p) { p.q.num_tokens = 21; });
  expect_bad("k.data", [](ProbeParams& p) { p.k.data = nullptr; });
  out.pop_back();
  expect_bad("out has 39", [](ProbeParams&) {});
}

TEST(Select, BadParameters) {
  Case c = kCase;
  c.queries = 5;
  const Problem problem(c);
  const std::vector<BlockShares> shares = make_shares(Shares::kLogGaussian, 16, 2);
  const auto expect_bad = [&](const std::string& named, const std::function<void(SelectParams&)>& spoil) {
    SelectParams params = problem.select(shares, {.block_size = 16, .probe_queries = 5});
    spoil(params);
    expect_refusal([&](const Backend& backend) { backend.select(params); }, named);
  };
  for (const std::int32_t block_size : {0, 4, 48, 512, -64}) {
    expect_bad("block_size is " + std::to_string(block_size), [&](SelectParams& p) { p.rule.block_size = block_size; });
  }
  expect_bad("rule.window is 0", [](SelectParams& p) { p.rule.window = 0; });
  expect_bad("rule.sinks is -1", [](SelectParams& p) { p.rule.sinks = -1; });
  expect_bad("rule.probe_queries is 0", [](SelectParams& p) { p.rule.probe_queries = 0; });
  expect_bad("rule.pool_width is 2", [](SelectParams& p) { p.rule.pool_width = 2; });
  expect_bad("rule.order is 3", [](SelectParams& p) { p.rule.order = static_cast<BlockOrder>(3); });
  expect_bad("min(L, rule.probe_queries)", [](SelectParams& p) { p.rule.probe_queries = 6; });
  expect_bad("shares has 1", [](SelectParams& p) { p.shares = p.shares.first(1); });
  expect_bad("shares[0] has 6", [](SelectParams& p) { p.rule.block_size = 32; });
  std::vector<BlockShares> bad = shares;
  const auto expect_bad_shares = [&](const std::string& named, std::vector<double> share) {
    bad[1].share = std::move(share);
    expect_bad(named, [&](SelectParams& p) { p.shares = bad; });
  };
  expect_bad_shares("shares[1] sums to 0.5", {0.5, 0, 0, 0, 0, 0});
  expect_bad_shares("shares[1][0] is -0.5", {-0.5, 0.5, 0.5, 0.5, 0, 0});
  expect_bad_shares("shares[1][5] is nan", {0, 0, 0, 0, 0, std::numeric_limits<double>::quiet_NaN()});
  expect_bad_shares("shares[1] has 0", {});
}

TEST(Select, BadWindowsAndProbesThatFollow) {
  Case c = kCase;
  c.queries = 5;
  const Problem problem(c);
  const std::vector<BlockShares> shares = make_shares(Shares::kLogGaussian, 16, 2);
  std::vector<std::int32_t> windows = {0, 7};
  const auto expect_bad = [&](const std::string& named, const std::function<void(SelectParams&)>& spoil) {
    SelectParams params = problem.select(shares, {.block_size = 16, .probe_queries = 5, .order = BlockOrder::kTokens});
    params.windows = windows;
    spoil(params);
    expect_refusal([&](const Backend& backend) { backend.select(params); }, named);
  };
  expect_bad("windows has 2", [](SelectParams& p) { p.rule.order = BlockOrder::kSimpson; });
  expect_bad("windows has 1", [](SelectParams& p) { p.windows = p.windows.first(1); });
  expect_bad("q.num_tokens is 4", [](SelectParams& p) { p.q.num_tokens = 4; });
  expect_bad("q.num_tokens is 0", [](SelectParams& p) {
    p.probes_follow = true;
    p.q.num_tokens = 0;
  });
  expect_bad("reduce is 7", [](SelectParams& p) { p.reduce = static_cast<ProbeReduce>(7); });
  windows[1] = -1;
  expect_bad("windows[1] is -1", [](SelectParams&) {});
}

TEST(Certify, BadParameters) {
  const Problem problem(kCase);
  std::vector<std::int32_t> rows(20);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int32_t>(i);
  std::vector<float> deltas(80);
  const auto expect_bad = [&](const std::string& named, const std::function<void(CertifyParams&)>& spoil) {
    CertifyParams params = problem.certify(rows, problem.q());
    spoil(params);
    expect_refusal([&](const Backend& backend) { backend.certify(params, deltas); }, named);
  };
  expect_bad("rows has 19", [](CertifyParams& p) { p.rows = p.rows.first(19); });
  expect_bad("window is 0", [](CertifyParams& p) { p.window = 0; });
  expect_bad("v is [", [](CertifyParams& p) { p.v.num_heads = 1; });
  rows[7] = 20;
  expect_bad("rows[7] is 20", [](CertifyParams&) {});
  rows[7] = -1;
  expect_bad("rows[7] is -1", [](CertifyParams&) {});
  rows[7] = 7;
  deltas.pop_back();
  expect_bad("deltas has 79", [](CertifyParams&) {});
}

TEST(Unsupported, HeadDimNamesWhatIsSupported) {
  const Problem problem({.group = "odd", .tokens = 4, .head_dim = 520});
  for (const BackendOfCase& named : backends_for({.dtype = DType::kBF16})) {
    const Capabilities capabilities = named.backend->capabilities();
    for (const std::int32_t head_dim : {64, 96, 128, 256}) {
      EXPECT_EQ(std::count(capabilities.head_dims.begin(), capabilities.head_dims.end(), head_dim), 1) << named.name;
    }
    for (const DType dtype : {DType::kBF16, DType::kF16}) {
      EXPECT_EQ(std::count(capabilities.dtypes.begin(), capabilities.dtypes.end(), dtype), 1) << named.name;
    }
    Output output = problem.output();
    const PrefillParams params = problem.prefill(output);
    try {
      named.backend->prefill_attention({&params, 1});
      ADD_FAILURE() << named.name << " accepted head_dim 520";
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kUnsupported);
      EXPECT_NE(std::string(error.what()).find("520"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("128"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace tca::backend_test
