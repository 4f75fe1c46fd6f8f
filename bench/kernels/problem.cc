#include "problem.h"

#include <algorithm>
#include <random>

#include "core/half.h"

namespace tca::bench {
namespace {

std::vector<std::byte> random_tensor(const Shape& shape, std::int32_t heads, std::uint32_t seed) {
  // A block of normal numbers, repeated: speed does not depend on values, and 131,072 tokens are ready in no time.
  constexpr std::size_t kBlock = 1 << 18;
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> block(kBlock + 17);
  for (float& x : block) x = normal(random);
  const std::size_t elements =
      static_cast<std::size_t>(shape.tokens) * static_cast<std::size_t>(heads * shape.head_dim);
  std::vector<std::byte> data(elements * dtype_size(shape.dtype));
  for (std::size_t i = 0; i < elements; i += kBlock) {
    const std::size_t n = std::min(kBlock, elements - i);
    convert_row(block.data() + i / kBlock % 17, data.data() + i * dtype_size(shape.dtype), shape.dtype,
                static_cast<std::int64_t>(n));
  }
  return data;
}

/// By head, in turn: full, window, two between; scaled to the mean.
double share_of_head(std::int32_t head, double mean_share) {
  constexpr double kPattern[] = {2.4, 0.0, 1.2, 0.4};
  return std::min(1.0, kPattern[head % 4] * mean_share);
}

}  // namespace

Problem::Problem(const Shape& shape)
    : shape_(shape),
      q_(random_tensor(shape, shape.num_heads, 1)),
      k_(random_tensor(shape, shape.num_kv_heads, 2)),
      v_(random_tensor(shape, shape.num_kv_heads, 3)),
      out_(q_.size()) {}

KeptSet ragged_kept(std::int64_t tokens, std::int32_t num_kv_heads, double mean_share) {
  std::vector<std::int64_t> offsets = {0};
  std::vector<std::int32_t> positions;
  std::mt19937 random(4);
  for (std::int32_t head = 0; head < num_kv_heads; ++head) {
    std::bernoulli_distribution keep(share_of_head(head, mean_share));
    for (std::int64_t j = 0; j < tokens; ++j) {
      if (j < 4 || keep(random)) positions.push_back(static_cast<std::int32_t>(j));
    }
    offsets.push_back(static_cast<std::int64_t>(positions.size()));
  }
  return {tokens, std::move(offsets), std::move(positions)};
}

std::vector<BlockShares> ragged_shares(std::int32_t num_kv_heads, double mean_share, std::int32_t block_size) {
  std::vector<BlockShares> shares;
  for (std::int32_t head = 0; head < num_kv_heads; ++head) {
    // Half of what a head keeps in whole blocks, a quarter in half blocks, a quarter in eighths.
    const double share = share_of_head(head, mean_share);
    BlockShares each = BlockShares::window(block_size);
    const std::size_t last = each.share.size() - 1;
    const double whole = 0.5 * share, half = std::min(1 - whole, 0.5 * share);
    const double eighth = std::min(1 - whole - half, 2.0 * share);
    each.share[last] = whole;
    each.share[last - 1] = half;
    each.share[last - 3] = eighth;
    each.share[0] = 1 - whole - half - eighth;
    shares.push_back(each);
  }
  return shares;
}

KvCache make_cache(const Problem& problem, double mean_share, std::int32_t window) {
  const Shape& shape = problem.shape();
  auto pool = KvPool::create(std::size_t{4} << 30, shape.head_dim, shape.dtype);
  KvCache cache(
      pool, {.num_layers = 1, .num_kv_heads = shape.num_kv_heads, .head_dim = shape.head_dim, .dtype = shape.dtype});
  if (mean_share >= 1) {
    cache.store(0, problem.k(), problem.v());
  } else {
    const KeptSet kept = ragged_kept(shape.tokens, shape.num_kv_heads, mean_share);
    cache.store(0, problem.k(), problem.v(), &kept, window);
  }
  return cache;
}

}  // namespace tca::bench
