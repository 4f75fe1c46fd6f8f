// Clusters that are there are found; banks are laid out by layer, cluster and head.
#include "calibration/query_bank.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/test_data.h"
#include "tca/error.h"

namespace tca::calibration {
namespace {

using test::random_floats;

constexpr std::int32_t kDim = 6;

/// Points around `centres` [n, kDim], each in turn.
std::vector<float> around(const std::vector<float>& centres, std::int64_t count, float radius) {
  std::vector<float> points = random_floats(count * kDim, 5, radius);
  for (std::size_t i = 0; i < points.size(); ++i) points[i] += centres[i % centres.size()];
  return points;
}

std::vector<float> all_alike(const std::vector<float>& samples) {
  return std::vector<float>(samples.size() / kDim, 1.0f);
}

double distance(const float* a, const float* b) {
  double sum = 0;
  for (std::int32_t e = 0; e < kDim; ++e) sum += std::pow(static_cast<double>(a[e]) - b[e], 2);
  return std::sqrt(sum);
}

double spread(const std::vector<float>& samples, const std::vector<float>& centroids) {
  double sum = 0;
  for (std::size_t i = 0; i < samples.size(); i += kDim) {
    double least = INFINITY;
    for (std::size_t c = 0; c < centroids.size(); c += kDim) {
      least = std::min(least, distance(&samples[i], &centroids[c]));
    }
    sum += least * least;
  }
  return sum;
}

TEST(ClusterQueries, FindsTheClusters) {
  const std::vector<float> centres = random_floats(5 * kDim, 3, 10);
  const std::vector<float> samples = around(centres, 400, 0.1f);
  for (const std::uint64_t seed : {0, 1, 2}) {
    const std::vector<float> found = cluster_queries(samples, all_alike(samples), kDim, {.count = 5, .seed = seed});
    ASSERT_EQ(found.size(), centres.size());
    for (std::size_t c = 0; c < centres.size(); c += kDim) {
      double least = INFINITY;
      for (std::size_t f = 0; f < found.size(); f += kDim) least = std::min(least, distance(&centres[c], &found[f]));
      EXPECT_LT(least, 0.1) << "centre " << c / kDim << " seed " << seed;
    }
  }
}

TEST(ClusterQueries, OneCentroidIsTheMean) {
  const std::vector<float> samples = random_floats(70 * kDim, 4),
                           found = cluster_queries(samples, all_alike(samples), kDim, {.count = 1});
  for (std::size_t e = 0; e < kDim; ++e) {
    double sum = 0;
    for (std::size_t i = e; i < samples.size(); i += kDim) sum += samples[i];
    EXPECT_FLOAT_EQ(found[e], static_cast<float>(sum / 70));
  }
}

TEST(ClusterQueries, RoundsMakeItTighter) {
  const std::vector<float> samples = random_floats(500 * kDim, 4);
  double before = INFINITY;
  for (const std::int32_t rounds : {0, 1, 3, 20}) {
    const double now =
        spread(samples, cluster_queries(samples, all_alike(samples), kDim, {.count = 7, .rounds = rounds}));
    EXPECT_LT(now, before) << rounds;
    before = now;
  }
}

TEST(ClusterQueries, FewSamplesComeAgainAndAgain) {
  const std::vector<float> samples = random_floats(2 * kDim, 4);
  const std::vector<float> found = cluster_queries(samples, all_alike(samples), kDim, {.count = 5});
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], samples[i % samples.size()]);
}

TEST(ClusterQueries, EqualSamplesAreNoTrouble) {
  const std::vector<float> samples(20 * kDim, 0.5f);
  EXPECT_EQ(cluster_queries(samples, all_alike(samples), kDim, {.count = 4}), std::vector<float>(4 * kDim, 0.5f));
}

TEST(ClusterQueries, RefusesNothing) {
  EXPECT_THROW(cluster_queries({}, {}, kDim, {.count = 4}), Error);
  EXPECT_THROW(cluster_queries(random_floats(kDim, 1), std::vector{1.0f}, kDim, {.count = 0}), Error);
  const std::vector<float> two = random_floats(2 * kDim, 1);
  EXPECT_THROW(cluster_queries(two, std::vector{1.0f}, kDim, {.count = 1}), Error);
  EXPECT_THROW(cluster_queries(two, std::vector{1.0f, -1.0f}, kDim, {.count = 1}), Error);
  EXPECT_THROW(cluster_queries(two, std::vector{1.0f, NAN}, kDim, {.count = 1}), Error);
}

TEST(ClusterQueries, TheCentroidIsTheWeightedMean) {
  const std::vector<float> samples = {0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 8, 100, 100, 100, 100, 100, 100};
  const std::vector<float> weights = {3, 1, 0};
  EXPECT_EQ(cluster_queries(samples, weights, kDim, {.count = 1}), std::vector<float>(kDim, 2.0f));
  EXPECT_EQ(cluster_queries(samples, std::vector<float>(3, 0.0f), kDim, {.count = 1}),
            std::vector<float>(kDim, 36.0f));  // no weight: all alike
}

TEST(ClusterQueries, WhatWeighsNothingGetsNoCentroid) {
  const std::vector<float> centres = random_floats(3 * kDim, 3, 10);
  const std::vector<float> samples = around(centres, 300, 0.1f);
  std::vector<float> weights(300);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = i % 3 == 2 ? 0.0f : 0.5f;
  for (const std::uint64_t seed : {0, 1, 2}) {
    const std::vector<float> found = cluster_queries(samples, weights, kDim, {.count = 2, .seed = seed});
    for (std::size_t c = 0; c < 2; ++c) {
      const double nearest =
          std::min(distance(&centres[c * kDim], found.data()), distance(&centres[c * kDim], &found[kDim]));
      EXPECT_LT(nearest, 0.1) << c << " seed " << seed;
    }
  }
}

TEST(QueryBankBuilder, ClustersEveryHeadOfEveryLayer) {
  constexpr std::int32_t kLayers = 2, kHeads = 3;
  QueryBankBuilder builder(kLayers, kHeads, kDim);
  std::vector<std::vector<float>> heads(kLayers * kHeads), weights(heads.size());
  for (std::int32_t layer = 0; layer < kLayers; ++layer) {
    for (const std::int64_t first : {0, 1}) {  // two documents
      const auto seed = static_cast<std::uint64_t>(10 * layer + first);
      const std::vector<float> q = random_floats(20 * kHeads * kDim, seed);
      std::vector<float> weight = random_floats(20 * kHeads, seed + 100);
      for (float& w : weight) w = std::abs(w);
      builder.add(layer, contiguous(static_cast<const void*>(q.data()), DType::kF32, 20, kHeads, kDim));
      builder.weigh(layer, weight);
      for (std::int64_t row = 0; row < 20; ++row) {
        for (std::int32_t head = 0; head < kHeads; ++head) {
          const auto from = q.begin() + (row * kHeads + head) * kDim;
          const auto at = static_cast<std::size_t>(layer * kHeads + head);
          heads[at].insert(heads[at].end(), from, from + kDim);
          weights[at].push_back(weight[static_cast<std::size_t>(row * kHeads + head)]);
        }
      }
    }
  }
  const Clusters clusters{.count = 4, .seed = 9};
  ThreadPool pool(2), one(1);
  const QueryBank bank = builder.build(clusters, 20, pool);
  EXPECT_EQ(bank.queries, 4);
  EXPECT_EQ(bank.distance, 20);
  EXPECT_EQ(bank.reduce, ProbeReduce::kMax);
  ASSERT_EQ(bank.values.size(), static_cast<std::size_t>(kLayers * 4 * kHeads * kDim));
  EXPECT_EQ(bank.values, builder.build(clusters, 20, one).values);
  for (std::int32_t layer = 0; layer < kLayers; ++layer) {
    for (std::int32_t head = 0; head < kHeads; ++head) {
      const auto at = static_cast<std::size_t>(layer * kHeads + head);
      const std::vector<float> expected = cluster_queries(heads[at], weights[at], kDim, clusters);
      for (std::int32_t c = 0; c < 4; ++c) {
        const auto found = bank.values.begin() + ((layer * 4 + c) * kHeads + head) * kDim;
        EXPECT_TRUE(std::equal(found, found + kDim, expected.begin() + c * kDim)) << layer << " " << head << " " << c;
      }
    }
  }
}

TEST(QueryBankBuilder, RefusesLayersWithoutQueriesOrWeights) {
  ThreadPool pool(1);
  EXPECT_THROW(QueryBankBuilder(2, 1, kDim).build({.count = 2}, 20, pool), Error);
  QueryBankBuilder builder(1, 1, kDim);
  const std::vector<float> q = random_floats(3 * kDim, 1);
  builder.add(0, contiguous(static_cast<const void*>(q.data()), DType::kF32, 3, 1, kDim));
  EXPECT_THROW(builder.build({.count = 2}, 20, pool), Error);
  builder.weigh(0, std::vector{1.0f, 2.0f, 3.0f});
  EXPECT_EQ(builder.build({.count = 2}, 20, pool).queries, 2);
}

}  // namespace
}  // namespace tca::calibration
