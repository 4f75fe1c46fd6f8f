// Ranks against Backend::select, dropped masses against Backend::certify and against a softmax written out.
#include "calibration/dropped_mass.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "calibration/calibrate.h"
#include "core/half.h"

namespace tca::calibration {
namespace {

struct Shape {
  std::int64_t tokens = 0, document = 0;
  std::int32_t num_heads = 0, num_kv_heads = 0, head_dim = 0;
};

// Keys that attract some queries, so that blocks differ; a stretch of equal keys, so that there are ties.
class Sequence {
 public:
  Sequence(const Shape& shape, DType dtype, std::uint64_t seed) : shape_(shape), dtype_(dtype) {
    std::mt19937_64 engine(seed);
    std::normal_distribution<float> normal;
    q_ = fill(shape.num_heads, [&](std::int64_t) { return normal(engine); });
    k_ = fill(shape.num_kv_heads, [&](std::int64_t token) {
      const bool plain = token >= shape.tokens / 3 && token < shape.tokens / 2;
      return plain ? 0.1f : normal(engine) * (token % 37 == 0 ? 3.0f : 0.7f);
    });
  }
  TensorView q() const { return contiguous(q_.data(), dtype_, shape_.tokens, shape_.num_heads, shape_.head_dim); }
  TensorView k() const { return contiguous(k_.data(), dtype_, shape_.tokens, shape_.num_kv_heads, shape_.head_dim); }
  const Shape& shape() const { return shape_; }

 private:
  template <class Draw>
  std::vector<std::byte> fill(std::int32_t heads, const Draw& draw) const {
    const std::int64_t row = std::int64_t{heads} * shape_.head_dim;
    std::vector<std::byte> data(static_cast<std::size_t>(shape_.tokens * row) * dtype_size(dtype_));
    for (std::int64_t i = 0; i < shape_.tokens * row; ++i) store_element(data.data(), dtype_, i, draw(i / row));
    return data;
  }
  Shape shape_;
  DType dtype_;
  std::vector<std::byte> q_, k_;
};

constexpr Shape kShape = {.tokens = 331, .document = 300, .num_heads = 4, .num_kv_heads = 2, .head_dim = 24};

SelectionRule rule_of(BlockOrder order) {
  return {.block_size = 16, .window = 32, .sinks = 3, .probe_queries = 8, .pool_width = 5, .order = order};
}

class DroppedMass : public testing::Test {
 protected:
  ThreadPool pool_{2};
  std::unique_ptr<Backend> backend_ = create_backend("reference", pool_);

  KeptSet select(const Sequence& sequence, const SelectionRule& rule, const BlockShares& shares) const {
    const std::int64_t document = sequence.shape().document;
    const std::int64_t probes = std::min<std::int64_t>(rule.probe_queries, document);
    const std::vector<BlockShares> all(static_cast<std::size_t>(sequence.shape().num_kv_heads), shares);
    return backend_->select({.q = sequence.q().tokens(document - probes, probes),
                             .k = sequence.k().tokens(0, document),
                             .shares = all,
                             .rule = rule});
  }
};

class Ranks : public DroppedMass, public testing::WithParamInterface<BlockOrder> {};

TEST_P(Ranks, EveryCandidateKeepsWhatSelectKeeps) {
  const Sequence sequence(kShape, DType::kBF16, 1);
  const SelectionRule rule = rule_of(GetParam());
  const auto document = static_cast<std::size_t>(kShape.document);
  std::vector<float> scores(2 * document);
  backend_->probe_scores({.q = sequence.q().tokens(kShape.document - rule.probe_queries, rule.probe_queries),
                          .k = sequence.k().tokens(0, kShape.document),
                          .pool_width = rule.pool_width},
                         scores);
  for (const BlockShares& candidate : candidate_configurations(rule.block_size)) {
    const KeptSet expected = select(sequence, rule, candidate);
    for (std::int32_t head = 0; head < 2; ++head) {
      const auto ranks =
          rank_tokens(std::span(scores).subspan(static_cast<std::size_t>(head) * document, document), rule);
      const auto shares = allocate_shares(candidate, ranks.order);
      std::vector<std::int32_t> kept;
      for (std::size_t j = 0; j < document; ++j) {
        const bool chosen = shares[j / static_cast<std::size_t>(rule.block_size)] > ranks.level[j];
        if (chosen || j < static_cast<std::size_t>(rule.sinks)) kept.push_back(static_cast<std::int32_t>(j));
      }
      const auto wanted = expected.head(head);
      EXPECT_EQ(kept, std::vector<std::int32_t>(wanted.begin(), wanted.end()));
    }
  }
}

TEST_P(Ranks, NaNCountsAsNothingAndTiesGoToTheLowerPosition) {
  SelectionRule rule = rule_of(GetParam());
  rule.block_size = 8;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // The second block has the mass; the first is flat, hence as rich as it can be for its mass; the third is empty.
  const std::vector<float> scores = {1, 1, 1, 1, 1, 1, 1, 1, nan, 9, 0, 2, 9, nan, 0, 0, nan, 0, 0, 0};
  const TokenRanks ranks = rank_tokens(scores, rule);
  // Block 1: M = 20, C = 166/400, M/C = 48. Block 0: M = 8, C = 1/8, M/C = 64. Block 2: M = 0, C = 1.
  EXPECT_EQ(ranks.order, (std::vector<std::int32_t>{0, 1, 2}));
  // Positions 9, 12, 11, then 8, 10, 13, 14, 15 at zero: ranks 0, 1, 2, 3, 4, ... and levels bit_width(rank).
  const std::vector<std::uint8_t> second(ranks.level.begin() + 8, ranks.level.begin() + 16);
  EXPECT_EQ(second, (std::vector<std::uint8_t>{2, 0, 3, 2, 1, 3, 3, 3}));
}

INSTANTIATE_TEST_SUITE_P(Orders, Ranks, testing::Values(BlockOrder::kMassDispersion, BlockOrder::kSimpson));

// A score is a sum of 24 float products whose magnitudes add up to less than 16 here, so its error stays below
// 16 * (24 + 4) * 2^-24 = 2.7e-5, which is the relative error of its weight; a share of the mass has twice that.
constexpr double kTolerance = 1e-4;

TEST_F(DroppedMass, RowsOfTheDocumentAgreeWithTheCertificate) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const Sequence sequence(kShape, dtype, 2);
    const SelectionRule rule = rule_of(BlockOrder::kMassDispersion);
    const std::vector<std::int32_t> rows = {0, 2, 31, 32, 33, 64, 150, 257, 299};
    const auto candidates = candidate_configurations(rule.block_size);
    const auto masses = dropped_masses(*backend_, pool_,
                                       {.q = sequence.q(),
                                        .k = sequence.k(),
                                        .document_tokens = kShape.document,
                                        .rows = rows,
                                        .rule = rule,
                                        .candidates = candidates});
    ASSERT_EQ(masses.size(), 2 * candidates.size() * rows.size() * 2);
    // The certificate wants the sampled queries side by side.
    const std::size_t row_elements = 4 * 24;
    std::vector<float> sampled(rows.size() * row_elements);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      convert_row(sequence.q().row(rows[i], 0), dtype, &sampled[i * row_elements], 4 * 24);
    }
    std::vector<std::byte> q(sampled.size() * dtype_size(dtype));
    convert_row(sampled.data(), q.data(), dtype, static_cast<std::int64_t>(sampled.size()));
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      const KeptSet kept = select(sequence, rule, candidates[c]);
      std::vector<float> deltas(rows.size() * 4);
      backend_->certify({.q = contiguous(q.data(), dtype, static_cast<std::int64_t>(rows.size()), 4, 24),
                         .rows = rows,
                         .k = sequence.k().tokens(0, kShape.document),
                         .v = sequence.k().tokens(0, kShape.document),
                         .kept = &kept,
                         .window = rule.window,
                         .sinks = rule.sinks},
                        deltas);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        for (std::size_t query_head = 0; query_head < 4; ++query_head) {
          const std::size_t head = query_head / 2;
          const std::size_t at = ((head * candidates.size() + c) * rows.size() + i) * 2 + query_head % 2;
          EXPECT_NEAR(masses[at], deltas[i * 4 + query_head], kTolerance)
              << "candidate " << c << " row " << rows[i] << " head " << query_head;
        }
      }
    }
  }
}

TEST_F(DroppedMass, LaterRowsSeeTheCacheAsTheDocumentLeftIt) {
  const Sequence sequence(kShape, DType::kF32, 3);
  const SelectionRule rule = rule_of(BlockOrder::kMassDispersion);
  const std::vector<std::int32_t> rows = {300, 315, 330};
  const auto candidates = candidate_configurations(rule.block_size);
  const auto masses = dropped_masses(*backend_, pool_,
                                     {.q = sequence.q(),
                                      .k = sequence.k(),
                                      .document_tokens = kShape.document,
                                      .rows = rows,
                                      .rule = rule,
                                      .candidates = candidates});
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const KeptSet kept = select(sequence, rule, candidates[c]);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::int32_t query_head = 0; query_head < 4; ++query_head) {
        const auto* q = static_cast<const float*>(sequence.q().row(rows[i], query_head));
        double total = 0, seen = 0;
        for (std::int64_t j = 0; j <= rows[i]; ++j) {
          const auto* k = static_cast<const float*>(sequence.k().row(j, query_head / 2));
          double score = 0;
          for (int e = 0; e < kShape.head_dim; ++e) score += static_cast<double>(q[e]) * k[e];
          const double weight = std::exp(score / std::sqrt(kShape.head_dim));
          const auto head = kept.head(query_head / 2);
          const bool in_cache = j < rule.sinks || j >= kShape.document - rule.window ||
                                std::binary_search(head.begin(), head.end(), static_cast<std::int32_t>(j));
          total += weight;
          seen += in_cache ? weight : 0;
        }
        const auto head = static_cast<std::size_t>(query_head / 2);
        const std::size_t at =
            ((head * candidates.size() + c) * rows.size() + i) * 2 + static_cast<std::size_t>(query_head % 2);
        EXPECT_NEAR(masses[at], 1 - seen / total, kTolerance) << "candidate " << c << " row " << rows[i];
      }
    }
  }
}

TEST_F(DroppedMass, FullDropsNothingAndMoreTokensNeverDropMore) {
  const Sequence sequence(kShape, DType::kF32, 4);
  const SelectionRule rule = rule_of(BlockOrder::kSimpson);
  const std::vector<std::int32_t> rows = {100, 299, 320};
  // One block at a time gets richer: each kept set contains the one before.
  std::vector<BlockShares> nested;
  for (std::size_t i = 0; i < 6; ++i) {
    nested.push_back(BlockShares::window(16));
    nested.back().share.assign(6, 0.0);
    nested.back().share[i] = 1;
  }
  const auto masses = dropped_masses(*backend_, pool_,
                                     {.q = sequence.q(),
                                      .k = sequence.k(),
                                      .document_tokens = kShape.document,
                                      .rows = rows,
                                      .rule = rule,
                                      .candidates = nested});
  const std::size_t count = rows.size() * 2;
  for (std::size_t head = 0; head < 2; ++head) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto mass = [&](std::size_t c) { return masses[(head * 6 + c) * count + i]; };
      for (std::size_t c = 1; c < 6; ++c) EXPECT_LE(mass(c), mass(c - 1));
      EXPECT_EQ(mass(5), 0.0f);
    }
  }
}

TEST_F(DroppedMass, TheNumberOfThreadsChangesNothing) {
  const Sequence sequence(kShape, DType::kF32, 5);
  const std::vector<std::int32_t> rows = {50, 120, 299, 310};
  const SelectionRule rule = rule_of(BlockOrder::kMassDispersion);
  const auto candidates = candidate_configurations(rule.block_size);
  const DroppedMassParams params = {.q = sequence.q(),
                                    .k = sequence.k(),
                                    .document_tokens = kShape.document,
                                    .rows = rows,
                                    .rule = rule,
                                    .candidates = candidates};
  ThreadPool one(1);
  EXPECT_EQ(dropped_masses(*backend_, pool_, params), dropped_masses(*backend_, one, params));
}

TEST(MassStatistics, TailQuantileAndMean) {
  // 1 .. 20: the worst tenth is {20, 19}; the nearest rank of .95 is the 19th of 20.
  std::vector<float> masses;
  for (int i = 0; i < 20; ++i) masses.push_back(static_cast<float>((i * 7) % 20 + 1));
  const MassStatistics statistics = mass_statistics(masses, 0.1);
  EXPECT_DOUBLE_EQ(statistics.tail, 19.5);
  EXPECT_DOUBLE_EQ(statistics.p95, 19);
  EXPECT_DOUBLE_EQ(statistics.mean, 10.5);
}

TEST(MassStatistics, OneValueIsItsOwnTail) {
  const std::vector<float> one = {0.25f};
  const MassStatistics statistics = mass_statistics(one, 0.01);
  EXPECT_DOUBLE_EQ(statistics.tail, 0.25);
  EXPECT_DOUBLE_EQ(statistics.p95, 0.25);
  EXPECT_DOUBLE_EQ(statistics.mean, 0.25);
}

}  // namespace
}  // namespace tca::calibration
