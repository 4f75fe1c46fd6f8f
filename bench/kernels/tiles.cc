// Where the time of bf16 prefill goes: each part of the tile kernels alone, one thread, data in L2, for every path that
// has kernels of its own for bf16, and for the best of this machine.
//   tca_bench_tiles
// Times are for one block of query rows over 256 keys (four tiles), in microseconds per 64 rows; `floor` is what its
// products take at the peak of one thread (bench/kernels/peak.h). Packing is shared by all blocks of a query tile.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "core/half.h"
#include "cpu/aligned_buffer.h"
#include "cpu/targets.h"
#include "peak.h"

namespace tca::bench {
namespace {

using namespace tca::cpu;

constexpr std::int32_t kTiles = 4, kKeys = kTiles * kTileKeys;
constexpr std::int32_t kBlocks = 12;  // taken in turn, as in a query tile

/// The least of some runs: neighbours on the same core only add.
template <class Call>
double microseconds(const Call& call) {
  constexpr int kCalls = 2000, kRuns = 5;
  double best = 1e30;
  for (int run = 0; run <= kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) call(i);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (run > 0) best = std::min(best, seconds.count() / kCalls * 1e6);
  }
  return best;
}

class Parts {
 public:
  Parts(const TileKernels& kernels, std::int32_t head_dim)
      : k_(kernels),
        d_(head_dim),
        queries_(kBlocks * k_.query_block_bytes(d_)),
        keys_(kTiles * k_.tile_bytes(d_)),
        values_(kTiles * k_.tile_bytes(d_)),
        weights_(kTiles * k_.weight_tile_bytes),
        scores_(sizeof(float) * k_.span_keys * k_.block_rows),
        out_(sizeof(float) * kBlocks * k_.block_rows * d_),
        rows_(sizeof(float) * 4 * kMaxBlockRows),
        data_(static_cast<std::size_t>(kKeys) * d_) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.3f);
    for (std::uint16_t& x : data_) {
      const float value = normal(random);
      convert_row(&value, &x, DType::kBF16, 1);
    }
    for (std::int32_t j = 0; j < kKeys; ++j) pointers_.push_back(data_.data() + static_cast<std::size_t>(j) * d_);
    std::fill_n(out_.as<float>(), kBlocks * k_.block_rows * d_, 0.0f);
    std::fill_n(max(), k_.block_rows, 2.0f);
    std::fill_n(sum(), k_.block_rows, 0.0f);
    for (std::int32_t b = 0; b < kBlocks; ++b) {
      k_.pack_queries(pointers_.data(), k_.block_rows, DType::kBF16, d_,
                      queries_.data() + b * k_.query_block_bytes(d_));
    }
    for (std::int32_t first = 0; first < kKeys; first += k_.span_keys) spans_.push_back(shape(first));
  }

  void pack_keys() {
    for (std::int32_t t = 0; t < kTiles; ++t) {
      k_.pack_keys(pointers_.data() + t * kTileKeys, kTileKeys, DType::kBF16, d_, keys_.data() + t * k_.tile_bytes(d_));
    }
  }
  void pack_values() {
    for (std::int32_t t = 0; t < kTiles; ++t) {
      k_.pack_values(pointers_.data() + t * kTileKeys, kTileKeys, DType::kBF16, d_,
                     values_.data() + t * k_.tile_bytes(d_));
    }
  }
  void score(int block) {
    for (std::int32_t i = 0; i < std::ssize(spans_); ++i) score_span(block, i);
  }
  void softmax() {
    for (std::int32_t i = 0; i < std::ssize(spans_); ++i) softmax_span(i);
  }
  void accumulate(int block) {
    std::vector<WeightedTile>& tiles = weighted_;
    tiles.clear();
    for (std::int32_t i = 0; i < std::ssize(spans_); ++i) {
      const TileShape& s = spans_[static_cast<std::size_t>(i)];
      tiles.push_back({weights(i), values_.data() + tile_of(i) * k_.tile_bytes(d_), s.first_key, s.end_key});
    }
    k_.accumulate(tiles, spans_[0], nullptr, out_.as<float>() + block % kBlocks * k_.block_rows * d_);
  }
  void all(int block) {
    for (std::int32_t i = 0; i < std::ssize(spans_); ++i) {
      score_span(block, i);
      softmax_span(i);
    }
    accumulate(block);
  }

 private:
  TileShape shape(std::int32_t key) const {
    const std::int32_t first = key % kTileKeys;
    return {.rows = k_.block_rows, .first_key = first, .end_key = first + k_.span_keys, .head_dim = d_};
  }
  std::int32_t tile_of(std::int32_t span) const { return span * k_.span_keys / kTileKeys; }
  void* weights(std::int32_t span) const { return weights_.data() + tile_of(span) * k_.weight_tile_bytes; }
  float* span_max() const { return rows_.as<float>(); }
  float* max() const { return rows_.as<float>() + kMaxBlockRows; }
  float* sum() const { return rows_.as<float>() + 2 * kMaxBlockRows; }
  float* factors() const { return rows_.as<float>() + 3 * kMaxBlockRows; }
  void score_span(int block, std::int32_t i) {
    k_.score({queries_.data() + block % kBlocks * k_.query_block_bytes(d_),
              keys_.data() + tile_of(i) * k_.tile_bytes(d_), spans_[static_cast<std::size_t>(i)], scores_.as<float>(),
              span_max()});
  }
  void softmax_span(std::int32_t i) {
    k_.softmax({spans_[static_cast<std::size_t>(i)], 0.18f, scores_.as<float>(), span_max(), weights(i), max(), sum(),
                factors()});
  }

  const TileKernels& k_;
  std::int32_t d_;
  AlignedBuffer queries_, keys_, values_, weights_, scores_, out_, rows_;
  std::vector<std::uint16_t> data_;
  std::vector<const void*> pointers_;
  std::vector<TileShape> spans_;
  std::vector<WeightedTile> weighted_;
};

void print_row(const KernelSet& set, std::int32_t head_dim, double peak_gflops) {
  const TileKernels& kernels = set.tiles_for(DType::kBF16);
  Parts parts(kernels, head_dim);
  const unsigned before = kernels.enter != nullptr ? kernels.enter() : 0;
  const double per_64 = 64.0 / kernels.block_rows;
  const double keys = microseconds([&](int) { parts.pack_keys(); });
  const double values = microseconds([&](int) { parts.pack_values(); });
  const double score = microseconds([&](int i) { parts.score(i); }) * per_64;
  const double softmax = microseconds([&](int) { parts.softmax(); }) * per_64;
  const double accumulate = microseconds([&](int i) { parts.accumulate(i); }) * per_64;
  const double all = microseconds([&](int i) { parts.all(i); }) * per_64;
  if (kernels.leave != nullptr) kernels.leave(before);
  const double floor = 64.0 * kKeys * head_dim * 4 / peak_gflops * 1e-3;
  std::printf("%-12.*s %8d %9.2f %9.2f %9.2f %10.2f %9.2f %9.2f %9.2f %9.2f\n", static_cast<int>(set.name.size()),
              set.name.data(), head_dim, floor, all, score, softmax, accumulate, all - score - softmax - accumulate,
              keys, values);
}

}  // namespace
}  // namespace tca::bench

int main() {
  tca::ThreadPool one(1);
  const double peak = tca::bench::measure_bf16_gflops(one);
  std::printf("peak of one thread: %.0f GFLOP/s\n%-12s %8s %9s %9s %9s %10s %9s %9s %9s %9s\n", peak, "path",
              "head_dim", "floor", "all", "score", "softmax", "values", "rest", "pack K", "pack V");
  for (const tca::cpu::KernelSet& set : tca::cpu::usable_targets()) {
    if (set.tiles_bf16 == nullptr && &set != &tca::cpu::usable_targets().front()) continue;
    for (const std::int32_t head_dim : {64, 128}) tca::bench::print_row(set, head_dim, peak);
  }
}
