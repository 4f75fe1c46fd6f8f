// Attention of the oracle on four tokens whose softmax weights are worked out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "reference/reference_backend.h"
#include "reference/steps.h"
#include "tca/error.h"
#include "tca/kv_cache.h"

namespace tca::reference {
namespace {

constexpr double kTiny = 1e-14;  // a few roundings of doubles near 1
constexpr double kFloat = 3e-7;  // inputs and outputs rounded to fp32: a few times 2^-24
const double kInfinity = std::numeric_limits<double>::infinity();

// With q = (1, 0), scale 1 and keys (ln w, 0) the softmax weights are w / sum w: here 1, 2, 3, 4 over 10.
HeadTokens four_tokens() {
  return {.positions = {0, 1, 2, 3},
          .k = {{0, 0}, {std::log(2), 0}, {std::log(3), 0}, {std::log(4), 0}},
          .v = {{1, 0}, {0, 1}, {2, 2}, {-1, 4}}};
}
const std::vector<double> kQuery = {1, 0};

TEST(Softmax, WeightsAndLogOfDenominator) {
  const Softmax result = softmax(std::vector<double>{std::log(1), std::log(2), std::log(3), std::log(4)});
  ASSERT_EQ(result.weights.size(), 4u);
  for (int j = 0; j < 4; ++j) EXPECT_NEAR(result.weights[j], (j + 1) / 10.0, kTiny);
  EXPECT_NEAR(result.lse, std::log(10), kTiny);
}

TEST(Softmax, HugeScoresDoNotOverflow) {
  const Softmax result = softmax(std::vector<double>{1e4, 1e4, -1e4});
  EXPECT_EQ(result.weights, (std::vector<double>{0.5, 0.5, 0}));
  EXPECT_NEAR(result.lse, 1e4 + std::log(2), 1e-11);
}

TEST(Softmax, NothingHasNoWeightsAndMinusInfinity) {
  const Softmax result = softmax({});
  EXPECT_TRUE(result.weights.empty());
  EXPECT_EQ(result.lse, -kInfinity);
}

TEST(Attend, AllFourTokens) {
  // out = (1 * (1,0) + 2 * (0,1) + 3 * (2,2) + 4 * (-1,4)) / 10 = (3, 24) / 10
  const AttentionRow row = attend(kQuery, four_tokens(), {true, true, true, true}, 1.0);
  EXPECT_NEAR(row.out[0], 0.3, kTiny);
  EXPECT_NEAR(row.out[1], 2.4, kTiny);
  EXPECT_NEAR(row.lse, std::log(10), kTiny);
}

TEST(Attend, WithoutTheSecondToken) {
  // out = (1 * (1,0) + 3 * (2,2) + 4 * (-1,4)) / 8 = (3, 22) / 8
  const AttentionRow row = attend(kQuery, four_tokens(), {true, false, true, true}, 1.0);
  EXPECT_NEAR(row.out[0], 0.375, kTiny);
  EXPECT_NEAR(row.out[1], 2.75, kTiny);
  EXPECT_NEAR(row.lse, std::log(8), kTiny);
}

TEST(Attend, ScaleSquaresTheWeights) {
  // scale 2: weights 1, 4, 9, 16 over 30; out = (1 + 18 - 16, 4 + 18 + 64) / 30 = (3, 86) / 30
  const AttentionRow row = attend(kQuery, four_tokens(), {true, true, true, true}, 2.0);
  EXPECT_NEAR(row.out[0], 0.1, kTiny);
  EXPECT_NEAR(row.out[1], 86.0 / 30.0, kTiny);
}

TEST(Attend, NothingVisibleGivesZero) {
  const AttentionRow row = attend(kQuery, four_tokens(), {false, false, false, false}, 1.0);
  EXPECT_EQ(row.out, (std::vector<double>{0, 0}));
  EXPECT_EQ(row.lse, -kInfinity);
}

TEST(ResolveScale, ZeroMeansOneOverRootOfHeadDim) {
  EXPECT_EQ(resolve_scale(0, 64), 0.125);
  EXPECT_EQ(resolve_scale(0, 4), 0.5);
  EXPECT_EQ(resolve_scale(0.25f, 64), 0.25);
}

std::vector<bool> bits(const char* text) {
  std::vector<bool> result;
  for (; *text != 0; ++text) result.push_back(*text == '1');
  return result;
}

TEST(VisibleTokens, CausalWithoutKeptSet) {
  EXPECT_EQ(visible_tokens(0, 4, 0, nullptr, 0, 1, 0), bits("1000"));
  EXPECT_EQ(visible_tokens(2, 4, 0, nullptr, 0, 1, 0), bits("1110"));
  EXPECT_EQ(visible_tokens(1, 4, 2, nullptr, 0, 1, 0), bits("111100"));  // two past tokens first
}

TEST(VisibleTokens, KeptWindowAndSinks) {
  // Eight tokens; head 0 keeps 3 and 6, head 1 keeps nothing; window 2, one sink.
  const KeptSet kept(8, {0, 2, 2}, {3, 6});
  EXPECT_EQ(visible_tokens(7, 8, 0, &kept, 0, 2, 1), bits("10010011"));
  EXPECT_EQ(visible_tokens(7, 8, 0, &kept, 1, 2, 1), bits("10000011"));
  EXPECT_EQ(visible_tokens(5, 8, 0, &kept, 0, 2, 1), bits("10011100"));  // 6 is kept, but not seen before it is there
  EXPECT_EQ(visible_tokens(2, 8, 0, &kept, 0, 2, 1), bits("11100000"));
  EXPECT_EQ(visible_tokens(0, 8, 0, &kept, 0, 2, 1), bits("10000000"));
  EXPECT_EQ(visible_tokens(7, 8, 0, &kept, 0, 1, 0), bits("00010011"));
  EXPECT_EQ(visible_tokens(7, 8, 2, &kept, 0, 2, 0), bits("1100010011"));  // the whole past is seen
}

// Through the backend, on views: two query heads share one KV head; K and V of four_tokens in fp32.
class ReferenceBackendTest : public testing::Test {
 protected:
  ReferenceBackendTest() {
    const HeadTokens tokens = four_tokens();
    for (int j = 0; j < 4; ++j) {
      for (int i = 0; i < 2; ++i) {
        k_.push_back(static_cast<float>(tokens.k[j][i]));
        v_.push_back(static_cast<float>(tokens.v[j][i]));
      }
    }
  }
  TensorView keys(std::int64_t begin, std::int64_t count) const {
    return contiguous(k_.data(), DType::kF32, 4, 1, 2).tokens(begin, count);
  }
  TensorView values(std::int64_t begin, std::int64_t count) const {
    return contiguous(v_.data(), DType::kF32, 4, 1, 2).tokens(begin, count);
  }
  KvCache cache_of(std::int64_t count) const {
    KvCache cache(KvPool::create(1 << 20, 2, DType::kF32),
                  {.num_layers = 1, .num_kv_heads = 1, .head_dim = 2, .dtype = DType::kF32});
    cache.store(0, keys(0, count), values(0, count));
    return cache;
  }

  std::unique_ptr<Backend> backend_ = create_reference_backend();
  std::vector<float> k_, v_;
  std::vector<float> q_ = {1, 0, 2, 0};  // one token, two heads; the second squares the weights
  std::vector<float> out_ = std::vector<float>(4);
  std::vector<float> lse_ = std::vector<float>(2);
};

TEST_F(ReferenceBackendTest, LastQueryOfASegment) {
  const PrefillParams params{.q = contiguous(q_.data(), DType::kF32, 1, 2, 2),
                             .k = keys(0, 4),
                             .v = values(0, 4),
                             .out = contiguous(out_.data(), DType::kF32, 1, 2, 2),
                             .scale = 1,
                             .lse = lse_};
  backend_->prefill_attention({&params, 1});
  EXPECT_NEAR(out_[0], 0.3, kFloat);
  EXPECT_NEAR(out_[1], 2.4, kFloat);
  EXPECT_NEAR(out_[2], 0.1, kFloat);
  EXPECT_NEAR(out_[3], 86.0 / 30.0, 4 * kFloat);
  EXPECT_NEAR(lse_[0], std::log(10), 4 * kFloat);
  EXPECT_NEAR(lse_[1], std::log(30), 4 * kFloat);
}

TEST_F(ReferenceBackendTest, ThePastCountsLikeTheSegment) {
  const KvCache cache = cache_of(3);
  const PrefillParams params{.q = contiguous(q_.data(), DType::kF32, 1, 2, 2),
                             .k = keys(3, 1),
                             .v = values(3, 1),
                             .out = contiguous(out_.data(), DType::kF32, 1, 2, 2),
                             .past = {.cache = &cache, .layer = 0},
                             .scale = 1};
  backend_->prefill_attention({&params, 1});
  EXPECT_NEAR(out_[0], 0.3, kFloat);
  EXPECT_NEAR(out_[1], 2.4, kFloat);
}

TEST_F(ReferenceBackendTest, DecodeSeesWhatWasThinned) {
  KvCache cache = cache_of(4);
  const std::int32_t keep[] = {0};
  cache.thin(0, 0, 2, keep);  // drops the second token
  const DecodeParams params{.q = contiguous(q_.data(), DType::kF32, 1, 2, 2),
                            .out = contiguous(out_.data(), DType::kF32, 1, 2, 2),
                            .cache = &cache,
                            .scale = 1};
  backend_->decode_attention({&params, 1});
  EXPECT_NEAR(out_[0], 0.375, kFloat);
  EXPECT_NEAR(out_[1], 2.75, kFloat);
}

TEST_F(ReferenceBackendTest, EarlierQueriesOfADecodeDoNotSeeLaterTokens) {
  const KvCache cache = cache_of(4);
  const std::vector<float> q = {1, 0, 1, 0};  // the last two tokens, one head
  const DecodeParams params{.q = contiguous(q.data(), DType::kF32, 2, 1, 2),
                            .out = contiguous(out_.data(), DType::kF32, 2, 1, 2),
                            .cache = &cache,
                            .scale = 1,
                            .lse = lse_};
  backend_->decode_attention({&params, 1});
  // The first sees weights 1, 2, 3 over 6: (1 + 6, 2 + 6) / 6.
  EXPECT_NEAR(out_[0], 7.0 / 6.0, 2 * kFloat);
  EXPECT_NEAR(out_[1], 8.0 / 6.0, 2 * kFloat);
  EXPECT_NEAR(lse_[0], std::log(6), 2 * kFloat);
  EXPECT_NEAR(out_[2], 0.3, kFloat);
}

TEST_F(ReferenceBackendTest, CancelStopsPrefill) {
  const std::atomic<bool> cancel = true;
  const PrefillParams params{.q = contiguous(q_.data(), DType::kF32, 1, 2, 2),
                             .k = keys(0, 4),
                             .v = values(0, 4),
                             .out = contiguous(out_.data(), DType::kF32, 1, 2, 2),
                             .cancel = &cancel};
  try {
    backend_->prefill_attention({&params, 1});
    FAIL() << "was not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kCancelled);
  }
}

}  // namespace
}  // namespace tca::reference
