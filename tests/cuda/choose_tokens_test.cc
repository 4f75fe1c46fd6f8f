// BlockOrder::kTokens from scores alone: lengths, ties and NaNs that the case table of tests/backend is too small for.
#include "cuda/smxx/select/choose_tokens.h"

#include <bit>
#include <cmath>
#include <numeric>

#include "cuda/gpu.h"
#include "reference/steps.h"

namespace tca::cuda_test {
namespace {

class ChooseTokensTest : public GpuTest {};

template <class T>
class GpuArray {
 public:
  explicit GpuArray(const std::vector<T>& values) : size_(values.size()) {
    EXPECT_EQ(cudaMalloc(&data_, size_ * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
  }
  GpuArray(const GpuArray&) = delete;
  GpuArray& operator=(const GpuArray&) = delete;
  ~GpuArray() { cudaFree(data_); }
  T* get() { return data_; }
  std::vector<T> read() const {
    std::vector<T> values(size_);
    EXPECT_EQ(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }

 private:
  std::size_t size_;
  T* data_ = nullptr;
};

enum class Scores { kRandom, kFewValues, kEqual, kWithNaN };

/// In [0, 1), over many binary orders of magnitude.
std::vector<float> make_scores(Scores kind, std::size_t count) {
  std::uint32_t state = 12345;
  std::vector<float> scores(count, 0.25f);
  for (float& score : scores) {
    state = state * 1664525u + 1013904223u;
    if (kind == Scores::kEqual) continue;
    score = std::ldexp(static_cast<float>(state >> 8), -24 - static_cast<int>(state % 30));
    if (kind == Scores::kFewValues) score = static_cast<float>(state >> 30) / 8;
    if (kind == Scores::kWithNaN && state % 3 == 0) score = NAN;
  }
  return scores;
}

std::vector<std::int32_t> expand(const std::vector<std::uint64_t>& bits, std::size_t head, std::int64_t words) {
  std::vector<std::int32_t> positions;
  for (std::int64_t w = 0; w < words; ++w) {
    for (std::uint64_t word = bits[head * words + w]; word != 0; word &= word - 1) {
      positions.push_back(static_cast<std::int32_t>(64 * w + std::countr_zero(word)));
    }
  }
  return positions;
}

void expect_the_oracles_choice(Scores kind, std::int32_t tokens, std::int32_t sinks) {
  constexpr double kShares[] = {0.2, 0.0, 1.0, 0.77};
  const std::int32_t windows[] = {0, 5, tokens / 3, 40};
  constexpr std::size_t kHeads = std::size(kShares);
  const std::int64_t words = (tokens + 63) / 64, first = std::min(sinks, tokens);
  std::vector<std::int32_t> ends, counts;
  for (std::size_t h = 0; h < kHeads; ++h) {
    ends.push_back(static_cast<std::int32_t>(std::max<std::int64_t>(first, tokens - windows[h])));
    counts.push_back(static_cast<std::int32_t>(std::floor(kShares[h] * static_cast<double>(ends[h] - first) + 0.5)));
  }
  const std::vector<float> host = make_scores(kind, kHeads * static_cast<std::size_t>(tokens));
  GpuArray<float> scores(host);
  GpuArray<std::int32_t> ends_there(ends), counts_there(counts), last(std::vector<std::int32_t>(2 * kHeads)),
      prefix(std::vector<std::int32_t>(kHeads * (words + 1), -1)), order(std::vector<std::int32_t>(kHeads, -1));
  GpuArray<std::uint64_t> bits(std::vector<std::uint64_t>(kHeads * words, ~std::uint64_t{0}));
  ASSERT_EQ(cuda::choose_tokens({.scores = scores.get(),
                                 .ends = ends_there.get(),
                                 .counts = counts_there.get(),
                                 .num_kv_heads = kHeads,
                                 .num_tokens = tokens,
                                 .sinks = sinks,
                                 .last = last.get(),
                                 .bits = bits.get(),
                                 .prefix = prefix.get(),
                                 .order = order.get()},
                                nullptr),
            cudaSuccess);
  const std::vector<std::uint64_t> chosen = bits.read();
  for (std::size_t h = 0; h < kHeads; ++h) {
    const std::span<const float> head(host.data() + h * static_cast<std::size_t>(tokens),
                                      static_cast<std::size_t>(tokens));
    const std::vector<std::int32_t> expected = reference::choose_tokens(head, kShares[h], sinks, windows[h]);
    ASSERT_EQ(expand(chosen, h, words), expected) << tokens << " tokens, head " << h;
    EXPECT_EQ(prefix.read()[h * (words + 1) + words], static_cast<std::int32_t>(expected.size()));
  }
}

TEST_F(ChooseTokensTest, IsTheOraclesAtEveryLength) {
  for (const Scores kind : {Scores::kRandom, Scores::kFewValues, Scores::kEqual, Scores::kWithNaN}) {
    for (const std::int32_t tokens : {1, 2, 31, 64, 65, 1000, 1024, 8191, 8193, 300007}) {
      expect_the_oracles_choice(kind, tokens, 4);
    }
  }
  expect_the_oracles_choice(Scores::kRandom, 70, 1000);
}

TEST_F(ChooseTokensTest, TiesBeyondTwoToTheTwentieth) {  // positions of three digits
  for (const Scores kind : {Scores::kFewValues, Scores::kEqual}) expect_the_oracles_choice(kind, 3000001, 0);
}

}  // namespace
}  // namespace tca::cuda_test
