// Query tiles through key tiles: parts merge to the whole, and every head_dim works on every path.
#include "cpu/tile_attention.h"

#include <gtest/gtest.h>

#include <limits>

#include "cpu/naive.h"
#include "cpu/split.h"

namespace tca::cpu {
namespace {

constexpr std::int32_t kTokens = 330, kGroup = 2;  // six tiles: more than a chunk

struct Inputs {
  /// Every key's elements are key_ramp larger than the key's before.
  Inputs(DType dtype, std::int32_t head_dim, float key_ramp = 0)
      : q_rows(kTokens * kGroup, head_dim, dtype, 1, 0),
        k_rows(kTokens, head_dim, dtype, 2, 0, key_ramp),
        v_rows(kTokens, head_dim, dtype, 3, 0),
        q(contiguous(q_rows.pointers()[0], dtype, kTokens, kGroup, head_dim)),
        k(contiguous(k_rows.pointers()[0], dtype, kTokens, 1, head_dim)),
        v(contiguous(v_rows.pointers()[0], dtype, kTokens, 1, head_dim)) {}

  QueryRows rows(std::int64_t first, std::int32_t count) const {
    QueryRows result;
    result.q = &q;
    result.group = kGroup;
    result.first = first;
    result.count = count;
    return result;
  }
  KeyPlan dense() const {
    KeyPlan plan;
    plan.add_range({&k, &v, 0}, 0, kTokens, {.reach = kNoReachLimit, .lag = 0});
    return plan;
  }
  /// Attention of one query row over the keys up to its own, and the log of its denominator.
  std::vector<double> attend(std::int32_t row, double scale, double& lse) const {
    std::vector<double> weights, out(static_cast<std::size_t>(q.head_dim), 0.0);
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::int32_t j = 0; j <= row / kGroup; ++j) {
      weights.push_back(dot(q_rows.row(row), k_rows.row(j)) * scale);
      top = std::max(top, weights.back());
    }
    for (double& weight : weights) sum += weight = std::exp(weight - top);
    for (std::size_t j = 0; j < weights.size(); ++j) {
      const std::vector<double>& value = v_rows.row(static_cast<std::int32_t>(j));
      for (std::size_t c = 0; c < out.size(); ++c) out[c] += weights[j] / sum * value[c];
    }
    lse = top + std::log(sum);
    return out;
  }

  Rows q_rows, k_rows, v_rows;
  TensorView q, k, v;
};

/// Weights are rounded to bf16 (2^-8 relatively); scores of some 8 and sums of 330 in fp32 are far below that. Values
/// of a normal distribution stay below 5.
double output_bound(const TileKernels& kernels, const KernelSet& set) {
  return 5 * (&kernels == set.tiles_bf16 ? 0x1p-8 + 1e-4 : 1e-4);
}

TEST(TileAttention, EveryHeadDimOnEveryPath) {
  for (const KernelSet& set : usable_targets()) {
    for (const DType dtype : kDTypes) {
      const TileKernels& kernels = set.tiles_for(dtype);
      for (const std::int32_t head_dim : kHeadDims) {
        SCOPED_TRACE(std::string(set.name) + " " + std::string(dtype_name(dtype)) + " " + std::to_string(head_dim));
        const Inputs inputs(dtype, head_dim);
        const auto scale = static_cast<float>(1 / std::sqrt(head_dim));
        const std::int32_t first = 301, count = 97;  // rows of one token on both sides
        std::vector<float> out(static_cast<std::size_t>(kTokens * kGroup * head_dim)), lse(kTokens * kGroup);
        TileAttention attention(kernels, head_dim);
        attention.load(inputs.rows(first, count));
        const KeyPlan plan = inputs.dense();
        attention.attend(plan, {0, plan.num_tiles()}, scale, true, nullptr);
        attention.store(contiguous(out.data(), DType::kF32, kTokens, kGroup, head_dim));
        attention.store_lse(scale, lse);
        for (std::int32_t row = first; row < first + count; row += 8) {
          double expected_lse = 0;
          const std::vector<double> expected = inputs.attend(row, scale, expected_lse);
          for (std::int32_t c = 0; c < head_dim; ++c) {
            ASSERT_NEAR(out[static_cast<std::size_t>(row * head_dim + c)], expected[static_cast<std::size_t>(c)],
                        output_bound(kernels, set));
          }
          ASSERT_NEAR(lse[static_cast<std::size_t>(row)], expected_lse, 1e-4);
        }
        EXPECT_EQ(out[static_cast<std::size_t>((first + count) * head_dim)], 0) << "wrote a row it was not given";
      }
    }
  }
}

TEST(TileAttention, MaximaThatRiseWithinAChunk) {
  for (const KernelSet& set : usable_targets()) {
    SCOPED_TRACE(set.name);
    // Scores change by some 0.1 |q| of up to 3 a key, dozens of tiles' worth of slack in all, in both directions.
    const Inputs inputs(DType::kBF16, 64, 0.1f);
    const TileKernels& kernels = set.tiles_for(DType::kBF16);
    const float scale = 0.5f;
    std::vector<float> out(static_cast<std::size_t>(kTokens * kGroup * 64)), lse(kTokens * kGroup);
    TileAttention attention(kernels, 64);
    attention.load(inputs.rows(0, kTokens * kGroup));
    const KeyPlan plan = inputs.dense();
    attention.attend(plan, {0, plan.num_tiles()}, scale, true, nullptr);
    attention.store(contiguous(out.data(), DType::kF32, kTokens, kGroup, 64));
    attention.store_lse(scale, lse);
    for (std::int32_t row = 0; row < kTokens * kGroup; row += 7) {
      double expected_lse = 0;
      const std::vector<double> expected = inputs.attend(row, scale, expected_lse);
      for (std::int32_t c = 0; c < 64; ++c) {
        ASSERT_NEAR(out[static_cast<std::size_t>(row * 64 + c)], expected[static_cast<std::size_t>(c)],
                    output_bound(kernels, set))
            << row;
      }
      // Scores of up to 1000 in fp32.
      ASSERT_NEAR(lse[static_cast<std::size_t>(row)], expected_lse, 1e-4 + 64 * 1000 * 0x1p-24) << row;
    }
  }
}

TEST(TileAttention, PartsMergeToTheWhole) {
  for (const KernelSet& set : usable_targets()) {
    SCOPED_TRACE(set.name);
    const TileKernels& kernels = set.tiles_for(DType::kBF16);
    const Inputs inputs(DType::kBF16, 64);
    const KeyPlan plan = inputs.dense();
    const std::int32_t count = 200;
    const auto scale = 0.3f;
    const auto run = [&](std::int32_t parts, std::vector<float>& lse) {
      std::vector<float> out(static_cast<std::size_t>(kTokens * kGroup * 64));
      const std::size_t stride = TileAttention::state_floats(kernels, 64, count, true);
      const AlignedBuffer states(parts * stride * sizeof(float));
      TileAttention attention(kernels, 64);
      for (std::int32_t part = 0; part < parts; ++part) {
        attention.load(inputs.rows(40, count));
        attention.attend(plan, split_tiles(plan.num_tiles(), part, parts), scale, true, nullptr);
        attention.save_state(true, states.as<float>() + static_cast<std::size_t>(part) * stride);
      }
      attention.merge_states(states.as<float>(), stride, parts, true, scale);
      attention.store(contiguous(out.data(), DType::kF32, kTokens, kGroup, 64));
      attention.store_lse(scale, lse);
      return out;
    };
    std::vector<float> whole_lse(kTokens * kGroup), lse(kTokens * kGroup);
    const std::vector<float> whole = run(1, whole_lse);
    for (const std::int32_t parts : {2, 3, 4, 9}) {  // 9: some have no tiles at all
      const std::vector<float> merged = run(parts, lse);
      for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(merged[i], whole[i], output_bound(kernels, set));
      for (std::size_t i = 0; i < lse.size(); ++i) ASSERT_NEAR(lse[i], whole_lse[i], 1e-4);
    }
  }
}

TEST(TileAttention, SplitsCoverAllTilesOnce) {
  for (const std::int32_t tiles : {0, 1, 5, 64, 2048}) {
    for (const std::int32_t parts : {1, 2, 7, 64}) {
      std::int32_t next = 0;
      for (std::int32_t part = 0; part < parts; ++part) {
        const TileRange range = split_tiles(tiles, part, parts);
        EXPECT_EQ(range.begin, next);
        next = range.end;
      }
      EXPECT_EQ(next, tiles);
    }
  }
}

TEST(TileAttention, QueryTilesAreWholeBlocks) {
  for (const KernelSet& set : usable_targets()) {
    for (const DType dtype : kDTypes) {
      const TileKernels& kernels = set.tiles_for(dtype);
      EXPECT_EQ(kRowStep % kernels.block_rows, 0);
      for (const std::int32_t head_dim : kHeadDims) {
        EXPECT_EQ(max_query_rows(kernels, head_dim) % kRowStep, 0);
        EXPECT_GT(max_query_rows(kernels, head_dim), 0);
        for (const std::int64_t rows : {1, 95, 97, 1000, 100000}) {
          EXPECT_LE(query_tile_rows(kernels, rows, head_dim), max_query_rows(kernels, head_dim));
          EXPECT_EQ(query_tile_rows(kernels, rows, head_dim) % kRowStep, 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tca::cpu
