#include "calibration/query_bank.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "evaluation/random.h"
#include "runtime/model/fp32_product.h"

namespace tca::calibration {
namespace {

class KMeans {
 public:
  KMeans(std::span<const float> samples, std::span<const float> weights, std::int64_t dim, const Clusters& clusters)
      : samples_(samples),
        weights_(weights.begin(), weights.end()),
        dim_(dim),
        n_(std::ssize(samples) / dim),
        k_(clusters.count) {
    if (*std::max_element(weights.begin(), weights.end()) == 0) std::fill(weights_.begin(), weights_.end(), 1.0f);
    centroids_.resize(static_cast<std::size_t>(k_ * dim_));
  }

  std::vector<float> run(const Clusters& clusters) {
    if (n_ <= k_) {
      for (std::int64_t i = 0; i < k_; ++i) std::copy_n(sample(i % n_), dim_, centroid(i));
      return std::move(centroids_);
    }
    start(clusters.seed);
    for (std::int32_t round = 0; round < clusters.rounds && move(); ++round) {
    }
    return std::move(centroids_);
  }

 private:
  const float* sample(std::int64_t i) const { return samples_.data() + i * dim_; }
  float* centroid(std::int64_t i) { return centroids_.data() + i * dim_; }

  double distance(std::int64_t i, const float* to) const {
    double sum = 0;
    for (std::int64_t e = 0; e < dim_; ++e) {
      const double difference = static_cast<double>(sample(i)[e]) - to[e];
      sum += difference * difference;
    }
    return sum;
  }

  /// k-means++: each next centroid a sample, with a probability that grows with its weight and its squared distance to
  /// those before.
  void start(std::uint64_t seed) {
    evaluation::Random random(seed);
    std::vector<double> nearest(static_cast<std::size_t>(n_), 1);  // of the first one the weight alone decides
    for (std::int64_t c = 0; c < k_; ++c) {
      std::copy_n(sample(draw(nearest, random)), dim_, centroid(c));
      for (std::int64_t i = 0; i < n_; ++i) {
        double& least = nearest[static_cast<std::size_t>(i)];
        const double now = distance(i, centroid(c));
        least = c == 0 ? now : std::min(least, now);
      }
    }
  }

  /// A sample by weight times `sizes`.
  std::int64_t draw(std::span<const double> sizes, evaluation::Random& random) const {
    const auto size = [&](std::int64_t i) {
      return weights_[static_cast<std::size_t>(i)] * sizes[static_cast<std::size_t>(i)];
    };
    double total = 0;
    for (std::int64_t i = 0; i < n_; ++i) total += size(i);
    double left = total * (static_cast<double>(random.below(1 << 30)) / (1 << 30));
    std::int64_t chosen = 0;
    while (chosen + 1 < n_ && (left -= size(chosen)) >= 0) ++chosen;
    return chosen;
  }

  /// One round of Lloyd's; false when no sample changed its cluster. A cluster whose samples weigh nothing stays.
  bool move() {
    std::vector<float> products(static_cast<std::size_t>(n_ * k_)), bias(static_cast<std::size_t>(k_));
    for (std::int64_t c = 0; c < k_; ++c) {
      double square = 0;
      for (std::int64_t e = 0; e < dim_; ++e) square += static_cast<double>(centroid(c)[e]) * centroid(c)[e];
      bias[static_cast<std::size_t>(c)] = static_cast<float>(-square / 2);
    }
    // The nearest centroid has the largest x.c - c.c / 2.
    runtime::fp32::multiply_block({.x = samples_.data(),
                                   .weight = centroids_.data(),
                                   .bias = bias.data(),
                                   .out = products.data(),
                                   .rows = n_,
                                   .in = dim_,
                                   .columns = k_,
                                   .out_stride = k_,
                                   .dtype = DType::kF32,
                                   .weight_dtype = DType::kF32},
                                  nullptr, scratch_);
    std::vector<std::int64_t> cluster(static_cast<std::size_t>(n_));
    std::vector<double> sums(centroids_.size()), mass(static_cast<std::size_t>(k_));
    for (std::int64_t i = 0; i < n_; ++i) {
      const float* const row = products.data() + i * k_;
      const std::int64_t c = std::max_element(row, row + k_) - row;
      cluster[static_cast<std::size_t>(i)] = c;
      const double weight = weights_[static_cast<std::size_t>(i)];
      mass[static_cast<std::size_t>(c)] += weight;
      for (std::int64_t e = 0; e < dim_; ++e) sums[static_cast<std::size_t>(c * dim_ + e)] += weight * sample(i)[e];
    }
    for (std::int64_t at = 0; at < k_ * dim_; ++at) {
      const double of_cluster = mass[static_cast<std::size_t>(at / dim_)];
      if (of_cluster > 0) {
        centroids_[static_cast<std::size_t>(at)] = static_cast<float>(sums[static_cast<std::size_t>(at)] / of_cluster);
      }
    }
    const bool moved = cluster != cluster_;
    cluster_ = std::move(cluster);
    return moved;
  }

  std::span<const float> samples_;
  std::vector<float> weights_;
  std::int64_t dim_, n_, k_;
  std::vector<float> centroids_;
  std::vector<std::int64_t> cluster_;  // of every sample, in the last round
  runtime::fp32::Scratch scratch_;
};

}  // namespace

std::vector<float> cluster_queries(std::span<const float> samples, std::span<const float> weights, std::int32_t dim,
                                   const Clusters& clusters) {
  check_argument(clusters.count >= 1 && clusters.rounds >= 0, "clusters.count is ", clusters.count, " and rounds ",
                 clusters.rounds, "; expected 1 or more, and 0 or more");
  check_argument(dim >= 1 && !samples.empty() && std::ssize(samples) % dim == 0, "there are ", samples.size(),
                 " values of samples; expected one or more samples of ", dim);
  check_argument(std::ssize(weights) == std::ssize(samples) / dim, "there are ", weights.size(),
                 " weights of samples; expected ", std::ssize(samples) / dim);
  for (const float weight : weights) {
    check_argument(weight >= 0 && std::isfinite(weight), "the weight of a sample is ", weight, "; expected 0 or more");
  }
  return KMeans(samples, weights, dim, clusters).run(clusters);
}

QueryBankBuilder::QueryBankBuilder(std::int32_t num_layers, std::int32_t num_heads, std::int32_t head_dim)
    : num_heads_(num_heads),
      head_dim_(head_dim),
      layers_(static_cast<std::size_t>(num_layers)),
      weights_(static_cast<std::size_t>(num_layers)) {}

void QueryBankBuilder::add(std::int32_t layer, const TensorView& q) {
  check_argument(q.dtype == DType::kF32 && q.num_heads == num_heads_ && q.head_dim == head_dim_, "queries are ",
                 q.dtype, " [", q.num_tokens, ", ", q.num_heads, ", ", q.head_dim, "]; expected fp32 of ", num_heads_,
                 " heads of ", head_dim_);
  std::vector<float>& into = layers_[static_cast<std::size_t>(layer)];
  for (std::int64_t row = 0; row < q.num_tokens; ++row) {
    for (std::int32_t head = 0; head < num_heads_; ++head) {
      const auto* const from = static_cast<const float*>(q.row(row, head));
      into.insert(into.end(), from, from + head_dim_);
    }
  }
}

void QueryBankBuilder::weigh(std::int32_t layer, std::span<const float> weights) {
  std::vector<float>& into = weights_[static_cast<std::size_t>(layer)];
  into.insert(into.end(), weights.begin(), weights.end());
}

QueryBank QueryBankBuilder::build(const Clusters& clusters, std::int32_t distance, ThreadPool& pool) const {
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    check_argument(!layers_[layer].empty(), "layer ", layer, " has no queries to make a bank of; add some");
    const std::size_t wanted = layers_[layer].size() / static_cast<std::size_t>(head_dim_);
    check_argument(weights_[layer].size() == wanted, "layer ", layer, " has ", weights_[layer].size(),
                   " weights of queries; expected ", wanted);
  }
  const std::int64_t width = std::int64_t{num_heads_} * head_dim_;
  QueryBank bank{.queries = clusters.count, .distance = distance, .reduce = ProbeReduce::kMax, .values = {}};
  bank.values.resize(layers_.size() * static_cast<std::size_t>(clusters.count * width));
  pool.parallel_for(std::ssize(layers_) * num_heads_, [&](std::int64_t item, int) {
    const std::int64_t layer = item / num_heads_, head = item % num_heads_;
    const std::vector<float>& all = layers_[static_cast<std::size_t>(layer)];
    std::vector<float> samples, weights;
    for (std::int64_t at = head * head_dim_; at < std::ssize(all); at += width) {
      samples.insert(samples.end(), all.begin() + at, all.begin() + at + head_dim_);
    }
    const std::vector<float>& all_weights = weights_[static_cast<std::size_t>(layer)];
    for (std::int64_t at = head; at < std::ssize(all_weights); at += num_heads_) {
      weights.push_back(all_weights[static_cast<std::size_t>(at)]);
    }
    const std::vector<float> centroids = cluster_queries(samples, weights, head_dim_, clusters);
    for (std::int64_t c = 0; c < clusters.count; ++c) {
      std::copy_n(centroids.data() + c * head_dim_, head_dim_,
                  bank.values.data() + (layer * clusters.count + c) * width + head * head_dim_);
    }
  });
  return bank;
}

}  // namespace tca::calibration
