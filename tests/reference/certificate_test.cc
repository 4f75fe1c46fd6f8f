// The certificate: dropped mass, the identity o - o' = delta (o_dropped - o'), the bound, and the nearest rank.
#include <gtest/gtest.h>

#include <cmath>

#include "reference/reference_backend.h"
#include "reference/steps.h"

namespace tca::reference {
namespace {

constexpr double kTiny = 1e-14;

// Softmax weights 1, 2, 3, 4 over 10 for q = (1, 0), as in attention_steps_test.cc.
const HeadTokens kTokens = {.positions = {0, 1, 2, 3},
                            .k = {{0, 0}, {std::log(2), 0}, {std::log(3), 0}, {std::log(4), 0}},
                            .v = {{1, 0}, {0, 1}, {2, 2}, {-1, 4}}};
const std::vector<double> kQuery = {1, 0};
const std::vector<bool> kAll(4, true);

TEST(DroppedMass, IsWhatTheHiddenTokensHad) {
  EXPECT_NEAR(dropped_mass(kQuery, kTokens, kAll, {true, false, true, true}, 1.0), 0.2, kTiny);
  EXPECT_NEAR(dropped_mass(kQuery, kTokens, kAll, {false, false, true, true}, 1.0), 0.3, kTiny);
  EXPECT_EQ(dropped_mass(kQuery, kTokens, kAll, kAll, 1.0), 0);
  // A query at the third token: weights 1, 2, 3 over 6, the second is hidden.
  EXPECT_NEAR(dropped_mass(kQuery, kTokens, {true, true, true, false}, {true, false, true, false}, 1.0), 2.0 / 6,
              kTiny);
}

TEST(DroppedMass, ExplainsTheError) {
  // o = (0.3, 2.4), o' = (0.375, 2.75), o_dropped = v of the second token = (0, 1), delta = 0.2:
  // o - o' = (-0.075, -0.35) = 0.2 * ((0, 1) - (0.375, 2.75)).
  const std::vector<bool> visible = {true, false, true, true};
  const AttentionRow dense = attend(kQuery, kTokens, kAll, 1.0);
  const AttentionRow sparse = attend(kQuery, kTokens, visible, 1.0);
  const double delta = dropped_mass(kQuery, kTokens, kAll, visible, 1.0);
  EXPECT_NEAR(dense.out[0] - sparse.out[0], -0.075, kTiny);
  EXPECT_NEAR(dense.out[1] - sparse.out[1], -0.35, kTiny);
  for (int i = 0; i < 2; ++i) {
    EXPECT_NEAR(dense.out[i] - sparse.out[i], delta * (kTokens.v[1][i] - sparse.out[i]), kTiny);
  }
  const double error = std::hypot(-0.075, -0.35);
  const double bound = 2 * delta * std::hypot(-1, 4);  // the largest value is (-1, 4)
  EXPECT_LE(error, bound);
}

TEST(Summarise, NearestRank) {
  std::vector<double> deltas;
  for (int i = 20; i >= 1; --i) deltas.push_back(i / 100.0);
  std::vector<double> norms(20, 2.0);
  norms[3] = 6;
  const HeadCertificate twenty = summarise(deltas, norms, 3);
  EXPECT_NEAR(twenty.mean_delta, 0.105, kTiny);
  EXPECT_EQ(twenty.p95_delta, 0.19);  // ceil(0.95 * 20) = 19th smallest
  EXPECT_EQ(twenty.max_delta, 0.2);
  EXPECT_NEAR(twenty.output_norm, 44.0 / 20, kTiny);
  EXPECT_NEAR(twenty.bound, 2 * 0.19 * 3, kTiny);
  deltas.push_back(0.5);
  norms.push_back(2);
  EXPECT_EQ(summarise(deltas, norms, 1).p95_delta, 0.2);  // ceil(19.95) = 20th of 21
  EXPECT_EQ(summarise(std::vector<double>{0.25}, std::vector<double>{1}, 1).p95_delta, 0.25);
}

TEST(Summarise, NoRowsNoDelta) {
  const HeadCertificate none = summarise({}, {}, 3);
  EXPECT_EQ(none.max_delta, 0);
  EXPECT_EQ(none.output_norm, 0);
  EXPECT_EQ(none.bound, 0);
}

TEST(Certify, ThroughTheBackend) {
  // Rows 3 and 2 of one query head; head keeps nothing, window 2, one sink: row 3 hides token 1 (0.2), row 2 hides
  // nothing (0, 1 and 2 are sink and window).
  std::vector<float> k, v;
  for (int j = 0; j < 4; ++j) {
    for (int i = 0; i < 2; ++i) {
      k.push_back(static_cast<float>(kTokens.k[j][i]));
      v.push_back(static_cast<float>(kTokens.v[j][i]));
    }
  }
  const std::vector<float> q = {1, 0, 1, 0};
  const std::vector<std::int32_t> rows = {3, 2};
  const KeptSet kept(4, {0, 0}, {});
  std::vector<float> deltas(2);
  const auto certificates = create_reference_backend()->certify({.q = contiguous(q.data(), DType::kF32, 2, 1, 2),
                                                                 .rows = rows,
                                                                 .k = contiguous(k.data(), DType::kF32, 4, 1, 2),
                                                                 .v = contiguous(v.data(), DType::kF32, 4, 1, 2),
                                                                 .kept = &kept,
                                                                 .window = 2,
                                                                 .sinks = 1,
                                                                 .scale = 1},
                                                                deltas);
  EXPECT_NEAR(deltas[0], 0.2, 1e-7);
  EXPECT_EQ(deltas[1], 0);
  ASSERT_EQ(certificates.size(), 1u);
  EXPECT_NEAR(certificates[0].mean_delta, 0.1, 1e-7);
  EXPECT_NEAR(certificates[0].p95_delta, 0.2, 1e-7);
  EXPECT_NEAR(certificates[0].bound, 2 * 0.2 * std::sqrt(17.0), 1e-6);
  // Dense outputs: (0.3, 2.4) of row 3, ((1, 0) + 2 (0, 1) + 3 (2, 2)) / 6 = (7, 8) / 6 of row 2.
  EXPECT_NEAR(certificates[0].output_norm, (std::hypot(0.3, 2.4) + std::hypot(7, 8) / 6) / 2, 1e-6);
}

// Past: one token, score 0, value (100, 0). Segment: token 0 (dropped) scores log 2 and token 1, the query's own, 0;
// their values are (0, 1) and (0, -1). Weights 1, 2, 1 over 4: delta = 1/2, o' = (50, -0.5), o_dropped = (0, 1), so o -
// o' =
// (-25, 0.75). A bound from the segment's values alone would be 1.
TEST(Certify, ThePastCountsInTheBound) {
  const std::vector<float> past_k = {0, 0}, past_v = {100, 0};
  const std::vector<float> k = {std::log(2.0f), 0, 0, 0}, v = {0, 1, 0, -1}, q = {1, 0};
  KvCache cache(KvPool::create(1 << 20, 2, DType::kF32),
                {.num_layers = 1, .num_kv_heads = 1, .head_dim = 2, .dtype = DType::kF32});
  cache.store(0, contiguous(past_k.data(), DType::kF32, 1, 1, 2), contiguous(past_v.data(), DType::kF32, 1, 1, 2));
  const std::vector<std::int32_t> rows = {1};
  const KeptSet kept(2, {0, 0}, {});
  const auto certificates = create_reference_backend()->certify({.q = contiguous(q.data(), DType::kF32, 1, 1, 2),
                                                                 .rows = rows,
                                                                 .k = contiguous(k.data(), DType::kF32, 2, 1, 2),
                                                                 .v = contiguous(v.data(), DType::kF32, 2, 1, 2),
                                                                 .past = {.cache = &cache},
                                                                 .kept = &kept,
                                                                 .window = 1,
                                                                 .sinks = 1,  // of no effect behind a past
                                                                 .scale = 1});
  EXPECT_NEAR(certificates[0].p95_delta, 0.5, 1e-7);
  EXPECT_NEAR(certificates[0].bound, 2 * 0.5 * 100, 1e-5);
  EXPECT_LE(std::hypot(25, 0.75), certificates[0].bound);
  EXPECT_NEAR(certificates[0].output_norm, std::hypot(25, 0.25), 1e-5);  // (o' + o_dropped) / 2
}

}  // namespace
}  // namespace tca::reference
