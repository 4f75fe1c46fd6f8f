// Tensors in GPU memory give the bits that tensors in host memory give, and kernels agree with each other.
#include <cmath>
#include <limits>

#include "cuda/gpu.h"
#include "tca/error.h"

namespace tca::cuda_test {
namespace {

class MemoryTest : public GpuTest {};

constexpr std::int32_t kHeads = 6, kKvHeads = 2;

struct Inputs {
  Inputs(DType dtype, std::int64_t tokens, std::int32_t d)
      : q(HostTensor::random(1, dtype, tokens, kHeads, d)),
        k(HostTensor::random(2, dtype, tokens, kKvHeads, d)),
        v(HostTensor::random(3, dtype, tokens, kKvHeads, d)),
        out(dtype, tokens, kHeads, d),
        lse(static_cast<std::size_t>(tokens * kHeads)) {}
  HostTensor q, k, v, out;
  std::vector<float> lse;
};

SelectionRule small_rule() { return {.block_size = 16, .window = 32}; }

KeptSet choose(const Backend& backend, const TensorView& q, const TensorView& k, const Past& past = {}) {
  BlockShares quarter = BlockShares::window(16);
  quarter.share.front() = 0.75;
  quarter.share.back() = 0.25;
  const std::vector<BlockShares> shares(kKvHeads, quarter);
  const std::int64_t probes = std::min<std::int64_t>(32, k.num_tokens);
  return backend.select(
      {.q = q.tokens(k.num_tokens - probes, probes), .k = k, .past = past, .shares = shares, .rule = small_rule()});
}

TEST_F(MemoryTest, GpuTensorsGiveTheBitsOfHostTensors) {
  const auto backend = this->backend();
  for (const std::int32_t d : kHeadDims) {
    for (const DType dtype : kHalves) {
      Inputs in(dtype, 333, d);
      const GpuBytes q(in.q.bytes), k(in.k.bytes), v(in.v.bytes), out(in.out.bytes);
      const KeptSet kept = choose(*backend, in.q.view(), in.k.view());
      EXPECT_EQ(kept, choose(*backend, q.view(in.q.shape), k.view(in.k.shape)));
      PrefillParams params{.q = in.q.view(),
                           .k = in.k.view(),
                           .v = in.v.view(),
                           .out = in.out.view(),
                           .kept = &kept,
                           .window = 32,
                           .lse = in.lse};
      backend->prefill_attention({&params, 1});
      MemoryBlock lse(cuda::Device::get()->memory());
      lse.reserve(in.lse.size() * sizeof(float));
      params.q = q.view(in.q.shape);
      params.k = k.view(in.k.shape);
      params.v = v.view(in.v.shape);
      params.out = q.view(in.out.shape);  // in place
      params.lse = {static_cast<float*>(lse.data()), in.lse.size()};
      backend->prefill_attention({&params, 1});
      EXPECT_EQ(q.read(), in.out.bytes) << d;
      std::vector<float> lse_back(in.lse.size());
      cuda::Device::get()->memory().copy(lse_back.data(), lse.data(), lse_back.size() * sizeof(float));
      EXPECT_EQ(lse_back, in.lse) << d;
    }
  }
}

TEST_F(MemoryTest, AKeptSetOfTheHostGivesTheBitsOfTheGpus) {
  const auto backend = this->backend();
  // Of 700 tokens the last block has 12: a head may keep less than its shares allow.
  for (const std::int64_t tokens : {700, 5, 64, 1000}) {
    Inputs in(DType::kBF16, tokens, 128);
    for (const std::int32_t sinks : {4, 0, 20}) {  // as chosen, none asked for, more than were chosen
      const KeptSet chosen = choose(*backend, in.q.view(), in.k.view());
      PrefillParams params{.q = in.q.view(),
                           .k = in.k.view(),
                           .v = in.v.view(),
                           .out = in.out.view(),
                           .kept = &chosen,
                           .window = 32,
                           .sinks = sinks};
      backend->prefill_attention({&params, 1});
      const std::vector<std::byte> expected = in.out.bytes;
      const KeptSet on_host(chosen.num_tokens(), chosen.offsets(), chosen.positions());
      params.kept = &on_host;
      backend->prefill_attention({&params, 1});
      EXPECT_EQ(in.out.bytes, expected) << tokens << " tokens, " << sinks << " sinks";
    }
  }
}

TEST_F(MemoryTest, BothKernelFamilyAgree) {
  const auto own = backend(), sm80 = backend("sm80");
  for (const std::int32_t d : {64, 128}) {
    for (const std::int64_t tokens : {1, 129, 1000}) {
      for (const std::int64_t queries : {std::int64_t{1}, (tokens + 1) / 2, tokens}) {
        Inputs in(DType::kBF16, tokens, d);
        const KeptSet kept = choose(*own, in.q.view(), in.k.view());
        for (const KeptSet* set : {static_cast<const KeptSet*>(nullptr), &kept}) {
          const std::int64_t first = tokens - queries;
          const PrefillParams params{.q = in.q.view().tokens(first, queries),
                                     .k = in.k.view(),
                                     .v = in.v.view(),
                                     .out = in.out.view().tokens(first, queries),
                                     .kept = set,
                                     .window = 32};
          own->prefill_attention({&params, 1});
          const HostTensor a = in.out;
          sm80->prefill_attention({&params, 1});
          for (std::int64_t i = first; i < tokens; ++i) {
            for (std::int32_t e = 0; e < d; ++e) {
              // Values below 1, weights and outputs of 8 bits: three roundings of 2^-8 either way.
              ASSERT_NEAR(a.at(i, 5, e), in.out.at(i, 5, e), 6 * 0x1p-8) << d << ", row " << i << " of " << tokens;
            }
          }
        }
      }
    }
  }
}

TEST_F(MemoryTest, ThirtyTwoThousandTokens) {
  // Equal keys: every query averages the values it sees, which are 1 for even tokens and 0 for odd ones.
  constexpr std::int64_t kTokens = 32768 + 3;
  for (const char* kernels : {"", "sm80"}) {
    const auto backend = this->backend(kernels);
    Inputs in(DType::kBF16, kTokens, 128);
    for (std::int64_t i = 0; i < kTokens * kKvHeads * 128; ++i) {
      store_element(in.k.bytes.data(), DType::kBF16, i, 0.5f);
      store_element(in.v.bytes.data(), DType::kBF16, i, i / (kKvHeads * 128) % 2 == 0 ? 1.0f : 0.0f);
    }
    std::vector<std::int64_t> offsets = {0};
    std::vector<std::int32_t> positions;
    for (std::int32_t h = 0; h < kKvHeads; ++h) {
      for (std::int32_t j = 0; j < kTokens; j += 2) positions.push_back(j);
      offsets.push_back(static_cast<std::int64_t>(positions.size()));
    }
    const KeptSet even(kTokens, offsets, positions);
    for (const bool sparse : {false, true}) {
      const PrefillParams params{.q = in.q.view(),
                                 .k = in.k.view(),
                                 .v = in.v.view(),
                                 .out = in.out.view(),
                                 .kept = sparse ? &even : nullptr,
                                 .window = 256,
                                 .sinks = 0};
      backend->prefill_attention({&params, 1});
      for (std::int64_t i = 1; i < kTokens; i += 997) {
        const auto ones = static_cast<double>(i / 2 + 1);
        const std::int64_t odd_begin = std::max<std::int64_t>(0, i - 255);
        const double zeros =
            sparse ? static_cast<double>((i + 1) / 2 - odd_begin / 2) : static_cast<double>((i + 1) / 2);
        ASSERT_NEAR(in.out.at(i, 3, 77), ones / (ones + zeros), 0x1p-7) << kernels << ", row " << i;
      }
    }
  }
}

TEST_F(MemoryTest, DecodeWithEmptyHeadsAndLaterQueries) {
  const auto backend = this->backend();
  Inputs in(DType::kBF16, 3, 64);
  KvCache cache(backend->create_kv_pool(std::size_t{1} << 20, 64, DType::kBF16),
                {.num_layers = 1, .num_kv_heads = kKvHeads, .head_dim = 64, .dtype = DType::kBF16});
  cache.store(0, in.k.view(), in.v.view());
  cache.thin(0, 0, 3, std::vector<std::int32_t>{});
  cache.thin(0, 1, 3, std::vector<std::int32_t>{1});  // the queries at 0, 1, 2 see nothing, it, it
  const DecodeParams params{.q = in.q.view(), .out = in.out.view(), .cache = &cache, .lse = in.lse};
  backend->decode_attention({&params, 1});
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int32_t head = 0; head < kHeads; ++head) {
      const bool sees = head >= 3 && i >= 1;
      EXPECT_EQ(std::isfinite(in.lse[static_cast<std::size_t>(i * kHeads + head)]), sees) << i << ", " << head;
      EXPECT_NEAR(in.out.at(i, head, 9), sees ? in.v.at(1, 1, 9) : 0.0f, 1e-6) << i << ", " << head;
    }
  }
  EXPECT_EQ(in.lse[0], -std::numeric_limits<float>::infinity());
}

TEST_F(MemoryTest, FloatTensorsAreRefused) {
  const auto backend = this->backend();
  Inputs in(DType::kF32, 10, 64);
  const PrefillParams params{.q = in.q.view(), .k = in.k.view(), .v = in.v.view(), .out = in.out.view()};
  try {
    backend->prefill_attention({&params, 1});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("bf16"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace tca::cuda_test
