// Each micro-kernel of every path this machine can run, alone, against loops in double.
#include <gtest/gtest.h>

#include <limits>

#include "cpu/naive.h"

namespace tca::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Path {
  std::string name;
  const TileKernels* kernels;
  std::vector<DType> dtypes;
};

std::vector<Path> paths() {
  std::vector<Path> result;
  for (const KernelSet& set : usable_targets()) {
    if (set.tiles_bf16 != nullptr) result.push_back({std::string(set.name), set.tiles_bf16, {DType::kBF16}});
    result.push_back({std::string(set.name), set.tiles, {DType::kF32, DType::kBF16, DType::kF16}});
  }
  return result;
}

/// Buffers of one block and one tile.
struct Work {
  Work(const TileKernels& kernels, std::int32_t head_dim)
      : queries(kernels.query_block_bytes(head_dim)),
        tile(kernels.tile_bytes(head_dim)),
        scores(sizeof(float) * kTileKeys * kernels.block_rows),
        weights(kernels.weight_tile_bytes),
        out(sizeof(float) * head_dim * kernels.block_rows),
        rows(6 * AlignedBuffer::round_up(sizeof(float) * kernels.block_rows)),
        stride(AlignedBuffer::round_up(sizeof(float) * kernels.block_rows)) {
    std::fill_n(out.as<float>(), head_dim * kernels.block_rows, 0.0f);
    std::fill_n(max(), kernels.block_rows, -kInfinity);
    std::fill_n(sum(), kernels.block_rows, 0.0f);
  }
  float* row_values(std::size_t i) { return reinterpret_cast<float*>(rows.data() + i * stride); }
  float* span_max() { return row_values(0); }
  float* max() { return row_values(1); }
  float* sum() { return row_values(2); }
  float* factors() { return row_values(3); }
  float* lse() { return row_values(4); }

  ScoreTask score(const TileShape& shape) {
    return {queries.data(), tile.data(), shape, scores.as<float>(), span_max()};
  }
  SoftmaxTask softmax(const TileShape& shape) {
    return {shape, 1.0f, scores.as<float>(), span_max(), weights.data(), max(), sum(), factors()};
  }

  AlignedBuffer queries, tile, scores, weights, out, rows;
  std::size_t stride;
};

/// Where the score of key j and row r is.
std::size_t score_index(const TileKernels& kernels, std::int32_t j, std::int32_t r) {
  const std::int32_t side = kernels.score_rows, span = kernels.span_keys;
  return static_cast<std::size_t>((r / side * span + j % span) * side + r % side);
}

/// Calls use(first, end) for the spans of keys [first, end).
template <class Use>
void for_each_span(const TileKernels& kernels, std::int32_t first, std::int32_t end, const Use& use) {
  for (std::int32_t stop; first < end; first = stop) {
    stop = std::min(end, (first / kernels.span_keys + 1) * kernels.span_keys);
    use(first, stop);
  }
}

template <class Check>
void for_each_path(const Check& check) {
  for (const Path& path : paths()) {
    for (const DType dtype : path.dtypes) {
      SCOPED_TRACE(path.name + " " + std::string(dtype_name(dtype)));
      const unsigned before = path.kernels->enter != nullptr ? path.kernels->enter() : 0;
      check(*path.kernels, dtype);
      if (path.kernels->leave != nullptr) path.kernels->leave(before);
    }
  }
}

TEST(TileKernels, ScoresOfUnalignedRows) {
  for_each_path([](const TileKernels& kernels, DType dtype) {
    for (const std::int32_t head_dim : kHeadDims) {
      const std::int32_t all = kernels.block_rows;
      const Rows q(all, head_dim, dtype, 1), k(kTileKeys, head_dim, dtype, 2);
      std::vector<double> exact, bound;
      for (std::int32_t j = 0; j < kTileKeys; ++j) {
        for (std::int32_t r = 0; r < all; ++r) {
          exact.push_back(dot(q.row(r), k.row(j)));
          bound.push_back(dot_bound(q.row(r), k.row(j)));
        }
      }
      for (const std::int32_t rows : {1, all / 3, all / 3 + 1, all - 1, all}) {
        const std::int32_t count = std::max(1, rows);
        for (const std::int32_t end : {1, 7, 9, 33, kTileKeys}) {
          const std::int32_t first = end > kKeyStep ? kKeyStep : 0;
          Work work(kernels, head_dim);
          kernels.pack_queries(q.pointers(), count, dtype, head_dim, work.queries.data());
          kernels.pack_keys(k.pointers(), end, dtype, head_dim, work.tile.data());
          for_each_span(kernels, first, end, [&](std::int32_t begin, std::int32_t stop) {
            kernels.score(work.score({count, begin, stop, head_dim}));
            for (std::int32_t r = 0; r < count; ++r) {
              float top = -kInfinity;
              for (std::int32_t j = begin; j < stop; ++j) {
                const auto at = static_cast<std::size_t>(j * all + r);
                const float score = work.scores.as<float>()[score_index(kernels, j, r)];
                ASSERT_NEAR(score, exact[at], bound[at]);
                top = std::max(top, score);
              }
              ASSERT_EQ(work.span_max()[r], top);
              if (stop % kKeyStep != 0) {
                ASSERT_EQ(work.scores.as<float>()[score_index(kernels, stop, r)], -kInfinity);
              }
            }
          });
        }
      }
    }
  });
}

TEST(TileKernels, PackedQueriesAndKeysComeBackExactly) {
  // Keys that are unit vectors read the queries' elements, and the other way round.
  for_each_path([](const TileKernels& kernels, DType dtype) {
    constexpr std::int32_t kDim = 64;
    const std::int32_t all = kernels.block_rows;
    const Rows x(kTileKeys, kDim, dtype, 3);
    std::vector<std::byte> units(kDim * kDim * dtype_size(dtype));
    std::vector<const void*> unit_rows;
    for (std::int32_t i = 0; i < kDim; ++i) {
      std::byte* const row = units.data() + static_cast<std::size_t>(i) * kDim * dtype_size(dtype);
      store_element(row, dtype, i, 1.0f);
      unit_rows.push_back(row);
    }
    Work work(kernels, kDim);
    const auto check = [&](const void* const* queries, const void* const* keys, const auto& expected) {
      kernels.pack_queries(queries, all, dtype, kDim, work.queries.data());
      kernels.pack_keys(keys, kTileKeys, dtype, kDim, work.tile.data());
      for_each_span(kernels, 0, kTileKeys, [&](std::int32_t begin, std::int32_t end) {
        kernels.score(work.score({all, begin, end, kDim}));
        for (std::int32_t r = 0; r < all; ++r) {
          for (std::int32_t j = begin; j < end; ++j) {
            ASSERT_EQ(work.scores.as<float>()[score_index(kernels, j, r)], expected(r, j));
          }
        }
      });
    };
    check(x.pointers(), unit_rows.data(), [&](std::int32_t r, std::int32_t j) { return x.at(r, j); });
    check(unit_rows.data(), x.pointers(), [&](std::int32_t r, std::int32_t j) { return x.at(j, r); });
  });
}

TEST(TileKernels, PackedValuesComeBackExactly) {
  // A single visible key weighs exactly 1.
  for_each_path([](const TileKernels& kernels, DType dtype) {
    for (const std::int32_t head_dim : kHeadDims) {
      const std::int32_t all = kernels.block_rows;
      for (const std::int32_t count : {kTileKeys, 5}) {
        const Rows v(count, head_dim, dtype, 4);
        for (std::int32_t key = 0; key < count; key += count - 1) {
          Work work(kernels, head_dim);
          const TileShape shape{all, 0, count, head_dim};
          kernels.pack_values(v.pointers(), count, dtype, head_dim, work.tile.data());
          std::vector<WeightedTile> weighted;
          for_each_span(kernels, 0, count, [&](std::int32_t begin, std::int32_t end) {
            std::fill_n(work.scores.as<float>(), kernels.span_keys * all, -kInfinity);
            if (begin <= key && key < end) {
              for (std::int32_t r = 0; r < all; ++r) work.scores.as<float>()[score_index(kernels, key, r)] = 3.0f;
            }
            std::fill_n(work.span_max(), all, 3.0f);
            kernels.softmax(work.softmax({all, begin, end, head_dim}));
            weighted.push_back({work.weights.data(), work.tile.data(), begin, end});
          });
          kernels.accumulate(weighted, shape, nullptr, work.out.as<float>());
          // ... and the result's rows leave in the dtype they came in.
          std::vector<std::byte> rows(all * head_dim * dtype_size(dtype));
          std::vector<void*> pointers;
          for (std::int32_t r = 0; r < all; ++r) {
            pointers.push_back(rows.data() + static_cast<std::size_t>(r * head_dim) * dtype_size(dtype));
          }
          kernels.store_rows(work.out.as<float>(), work.sum(), shape, dtype, pointers.data());
          for (std::int32_t r = 0; r < all; ++r) {
            ASSERT_EQ(work.sum()[r], 1.0f);
            for (std::int32_t c = 0; c < head_dim; ++c) {
              ASSERT_EQ(load_element(pointers[static_cast<std::size_t>(r)], dtype, c), v.at(key, c));
            }
          }
        }
      }
    }
  });
}

TEST(TileKernels, MaskHidesWhatARowDoesNotSee) {
  for_each_path([](const TileKernels& kernels, DType) {
    const std::int32_t all = kernels.block_rows;
    Work work(kernels, 16);
    std::vector<std::int32_t> rows, keys;
    for (std::int32_t r = 0; r < all; ++r) rows.push_back(1000 + 3 * (r % 7));
    for (std::int32_t j = 0; j < kTileKeys; ++j) keys.push_back(960 + j);
    for (const Visibility visibility : {Visibility{INT32_MAX, 0}, Visibility{INT32_MAX, 20}, Visibility{13, 0},
                                        Visibility{30, 4}, Visibility{INT32_MAX, INT32_MAX}}) {
      for_each_span(kernels, kKeyStep, 55, [&](std::int32_t first, std::int32_t end) {
        for (std::int32_t j = first; j < end; ++j) {
          for (std::int32_t r = 0; r < all; ++r) {
            work.scores.as<float>()[score_index(kernels, j, r)] = static_cast<float>((j * all + r) % 101);
          }
        }
        kernels.mask(rows.data(), keys.data(), visibility, {all, first, end, 16}, work.scores.as<float>(),
                     work.span_max());
        for (std::int32_t r = 0; r < all; ++r) {
          float top = -kInfinity;
          for (std::int32_t j = first; j < end; ++j) {
            const auto row = static_cast<std::int64_t>(rows[static_cast<std::size_t>(r)]);
            const auto key = static_cast<std::int64_t>(keys[static_cast<std::size_t>(j)]);
            const bool seen = key > row - visibility.reach && key <= row - visibility.lag;
            const float expected = seen ? static_cast<float>((j * all + r) % 101) : -kInfinity;
            ASSERT_EQ(work.scores.as<float>()[score_index(kernels, j, r)], expected);
            top = std::max(top, expected);
          }
          ASSERT_EQ(work.span_max()[r], top);
        }
      });
    }
  });
}

TEST(TileKernels, MaximumRisesOnlyWhenItHasTo) {
  for_each_path([](const TileKernels& kernels, DType) {
    const std::int32_t all = kernels.block_rows;
    Work work(kernels, 16);
    const auto softmax = [&](float score) {
      std::fill_n(work.scores.as<float>(), kernels.span_keys * all,
                  -kInfinity);  // beyond the one key, as score() leaves them
      for (std::int32_t r = 0; r < all; ++r) work.scores.as<float>()[score_index(kernels, 0, r)] = score;
      std::fill_n(work.span_max(), all, score);
      return kernels.softmax(work.softmax({all, 0, 1, 16}));
    };
    EXPECT_FALSE(softmax(-kInfinity));  // nothing seen yet, nothing seen now
    EXPECT_EQ(work.sum()[all - 1], 0.0f);
    EXPECT_TRUE(softmax(5.0f));
    EXPECT_EQ(work.factors()[0], 0.0f);
    EXPECT_EQ(work.max()[0], 5.0f);
    EXPECT_FALSE(softmax(13.0f));  // 2^8 above: still within the slack
    EXPECT_EQ(work.max()[0], 5.0f);
    EXPECT_EQ(work.sum()[0], 257.0f);
    EXPECT_TRUE(softmax(14.0f));
    EXPECT_EQ(work.factors()[0], 0x1p-9f);
    EXPECT_EQ(work.max()[0], 14.0f);
    EXPECT_EQ(work.sum()[0], 257.0f * 0x1p-9f + 1.0f);
    EXPECT_FALSE(softmax(-kInfinity));
    EXPECT_EQ(work.sum()[0], 257.0f * 0x1p-9f + 1.0f);
  });
}

TEST(TileKernels, ColumnsAreReducedOverRowsThatExist) {
  for_each_path([](const TileKernels& kernels, DType) {
    const std::int32_t all = kernels.block_rows;
    Work work(kernels, 16);
    const Rows scores(kTileKeys, 256, DType::kF32, 9, 0);
    for (const std::int32_t rows : {1, all / 3 + 1, all}) {
      for (std::int32_t r = 0; r < all; ++r) work.lse()[r] = r < rows ? 0.1f * static_cast<float>(r) : kInfinity;
      std::vector<float> sums(kTileKeys), maxima(kTileKeys);
      for_each_span(kernels, 0, kTileKeys, [&](std::int32_t begin, std::int32_t end) {
        for (std::int32_t j = begin; j < end; ++j) {
          for (std::int32_t r = 0; r < all; ++r) {
            work.scores.as<float>()[score_index(kernels, j, r)] = static_cast<float>(scores.at(j, r));
          }
        }
        const auto reduce = [&](ColumnReduce how, std::vector<float>& out) {
          kernels.reduce_columns(work.scores.as<float>(), {rows, begin, end, 16}, 0.5f, work.lse(), how, out.data());
        };
        reduce(ColumnReduce::kSum, sums);
        reduce(ColumnReduce::kMax, maxima);
      });
      for (std::int32_t j = 0; j < kTileKeys; ++j) {
        double expected = 0, most = 0;
        for (std::int32_t r = 0; r < rows; ++r) {
          const double weight = std::exp(scores.at(j, r) * 0.5 - work.lse()[r]);
          expected += weight;
          most = std::max(most, weight);
        }
        // Exponents of at most 7, rounded twice; 2^x to 2.2 ulp; a sum of at most 64.
        ASSERT_NEAR(sums[static_cast<std::size_t>(j)], expected, (2 * 7 + 4.4 + 64) * 0x1p-24 * expected);
        ASSERT_NEAR(maxima[static_cast<std::size_t>(j)], most, (2 * 7 + 4.4) * 0x1p-24 * most);
      }
    }
  });
}

}  // namespace
}  // namespace tca::cpu
