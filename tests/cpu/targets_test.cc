// Which path runs, what it says it supports, and cancelling.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <set>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu/cpu_backend.h"
#include "cpu/naive.h"
#include "tca/error.h"

namespace tca {
namespace {

constexpr const char* kVariable = "TCA_CPU_TARGET";

class CpuTargets : public testing::Test {
 protected:
  CpuTargets() { ::unsetenv(kVariable); }
  ~CpuTargets() override { ::unsetenv(kVariable); }

  std::string isa() { return create_cpu_backend(pool_)->capabilities().isa; }

  ThreadPool pool_{2};
};

TEST_F(CpuTargets, TheBestIsTheDefaultAndTheEnvironmentForcesAnyOther) {
  const std::vector<std::string> targets = cpu_targets();
  ASSERT_FALSE(targets.empty());
  EXPECT_EQ(std::set<std::string>(targets.begin(), targets.end()).size(), targets.size());
  EXPECT_EQ(isa(), targets.front());
  for (const std::string& target : targets) {
    ::setenv(kVariable, target.c_str(), 1);
    EXPECT_EQ(isa(), target);
  }
  ::setenv(kVariable, "", 1);
  EXPECT_EQ(isa(), targets.front());
}

TEST_F(CpuTargets, AnUnknownNameListsTheUsableOnes) {
  ::setenv(kVariable, "ABACUS", 1);
  try {
    create_cpu_backend(pool_);
    FAIL() << "accepted ABACUS";
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kUnsupported);
    const std::string message = error.what();
    EXPECT_NE(message.find("ABACUS"), std::string::npos) << message;
    for (const std::string& target : cpu_targets()) EXPECT_NE(message.find(target), std::string::npos) << message;
  }
}

#if defined(__x86_64__)
TEST_F(CpuTargets, Bf16DotProductsComeFirstWhereTheProcessorHasThem) {
  const std::vector<std::string> targets = cpu_targets();
  const bool amx = targets.front() == "AMX_BF16";
  ASSERT_GT(targets.size(), 1u);
  EXPECT_EQ(targets[amx ? 1 : 0] == "AVX512_BF16", __builtin_cpu_supports("avx512bf16") != 0);
}
#endif

/// One segment of 70 tokens, 2 query heads on 1 KV head.
struct Segment {
  explicit Segment(std::int32_t head_dim)
      : values(static_cast<std::size_t>(70 * 2 * head_dim), 0.5f),
        out(values.size()),
        params{.q = contiguous(static_cast<const void*>(values.data()), DType::kF32, 70, 2, head_dim),
               .k = contiguous(static_cast<const void*>(values.data()), DType::kF32, 70, 1, head_dim),
               .v = contiguous(static_cast<const void*>(values.data()), DType::kF32, 70, 1, head_dim),
               .out = contiguous(out.data(), DType::kF32, 70, 2, head_dim),
               .past = {},
               .lse = {}} {}
  std::vector<float> values, out;
  PrefillParams params;
};

TEST_F(CpuTargets, HeadDimsThatAreListedWorkAndOthersAreRefused) {
  const std::unique_ptr<Backend> backend = create_cpu_backend(pool_);
  const std::vector<std::int32_t> dims = backend->capabilities().head_dims;
  for (const std::int32_t d : {64, 96, 128, 256}) EXPECT_EQ(std::count(dims.begin(), dims.end(), d), 1);
  for (std::int32_t d = 8; d <= 264; d += 8) {
    const Segment segment(d);
    if (std::find(dims.begin(), dims.end(), d) != dims.end()) {
      backend->prefill_attention({&segment.params, 1});
      EXPECT_NEAR(segment.out.back(), 0.5f, 1e-6) << d;
      continue;
    }
    try {
      backend->prefill_attention({&segment.params, 1});
      FAIL() << "accepted head_dim " << d;
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kUnsupported);
    }
  }
}

#if defined(__x86_64__)
TEST_F(CpuTargets, ModesOfTheCallingThreadAreLeftAsTheyWere) {
  ThreadPool alone(1);
  const std::vector<std::uint16_t> values(70 * 2 * 64, 0x3f00);  // bf16 0.5
  std::vector<std::uint16_t> out(values.size());
  const auto view = [&](std::int32_t heads) {
    return contiguous(static_cast<const void*>(values.data()), DType::kBF16, 70, heads, 64);
  };
  const PrefillParams params{.q = view(2),
                             .k = view(1),
                             .v = view(1),
                             .out = contiguous(out.data(), DType::kBF16, 70, 2, 64),
                             .past = {},
                             .lse = {}};
  constexpr unsigned kModes = 0xffc0;  // flush to zero, rounding, masks, denormals; not the flags
  for (const std::string& target : cpu_targets()) {
    for (const unsigned flush : {0u, 0x8000u}) {
      const unsigned before = _mm_getcsr();
      _mm_setcsr((before & ~0x8000u) | flush);
      create_cpu_backend_for_target(alone, target)->prefill_attention({&params, 1});
      EXPECT_EQ(_mm_getcsr() & kModes, ((before & ~0x8000u) | flush) & kModes) << target;
      _mm_setcsr(before);
    }
  }
}
#endif

TEST_F(CpuTargets, BatchesOfDifferentShapes) {
  const std::unique_ptr<Backend> backend = create_cpu_backend(pool_);
  const Segment narrow(64), wide(128), again(64);
  const PrefillParams batch[] = {narrow.params, wide.params, again.params};
  backend->prefill_attention(batch);
  for (const Segment* segment : {&narrow, &wide, &again}) EXPECT_NEAR(segment->out.back(), 0.5f, 1e-6);
}

TEST_F(CpuTargets, ACancelledPrefillThrows) {
  const std::unique_ptr<Backend> backend = create_cpu_backend(pool_);
  Segment segment(64);
  std::atomic<bool> cancel{false};
  segment.params.cancel = &cancel;
  backend->prefill_attention({&segment.params, 1});
  cancel = true;
  try {
    backend->prefill_attention({&segment.params, 1});
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kCancelled);
  }
}

TEST_F(CpuTargets, BreakEvenIsFiniteForSharesWorthIt) {
  for (const std::string& target : cpu_targets()) {
    const std::unique_ptr<Backend> backend = create_cpu_backend_for_target(pool_, target);
    // Shorter prompts are all window and sinks.
    EXPECT_GT(backend->break_even_tokens(0.2, 64), 256) << target;
    EXPECT_LE(backend->break_even_tokens(0.2, 64), 1024) << target;
    EXPECT_LE(backend->break_even_tokens(0.8, 128), 4096) << target;
    EXPECT_EQ(backend->break_even_tokens(1.0, 64), std::numeric_limits<std::int64_t>::max()) << target;
  }
}

}  // namespace
}  // namespace tca
