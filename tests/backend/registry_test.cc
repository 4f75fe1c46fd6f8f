// Which backend runs: by name, by TCA_BACKEND, automatically; and that a forced CPU target is the one that runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "backend/compare.h"
#include "cpu/cpu_backend.h"
#include "tca/error.h"

namespace tca::backend_test {
namespace {

class Registry : public testing::Test {
 protected:
  Registry() { ::unsetenv("TCA_BACKEND"); }
  ~Registry() override { ::unsetenv("TCA_BACKEND"); }

  std::string refusal(const std::string& name) {
    try {
      create_backend(name, pool_);
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kUnsupported);
      return error.what();
    }
    ADD_FAILURE() << "accepted " << name;
    return {};
  }

  ThreadPool pool_{1};
};

TEST_F(Registry, EveryNameGivesThatBackend) {
  const std::vector<std::string> names = available_backends();
  EXPECT_EQ(std::count(names.begin(), names.end(), "cpu"), 1);
  EXPECT_EQ(std::count(names.begin(), names.end(), "reference"), 1);
  for (const std::string& name : names) EXPECT_EQ(create_backend(name, pool_)->name(), name);
}

TEST_F(Registry, AutoIsTheCpuUnlessTheEnvironmentSaysOtherwise) {
  EXPECT_EQ(create_backend("auto", pool_)->name(), "cpu");
  ::setenv("TCA_BACKEND", "reference", 1);
  EXPECT_EQ(create_backend("auto", pool_)->name(), "reference");
  EXPECT_EQ(create_backend("cpu", pool_)->name(), "cpu");  // an explicit name wins
  ::setenv("TCA_BACKEND", "auto", 1);
  EXPECT_EQ(create_backend("auto", pool_)->name(), "cpu");
  ::setenv("TCA_BACKEND", "", 1);
  EXPECT_EQ(create_backend("auto", pool_)->name(), "cpu");
}

TEST_F(Registry, ABackendThatCannotRunHereIsNotAvailable) {
  const std::vector<std::string> names = available_backends();
  if (std::count(names.begin(), names.end(), "cuda") == 1) {
    EXPECT_EQ(names.front(), "cuda");
  } else {
    EXPECT_FALSE(refusal("cuda").empty());
  }
}

TEST_F(Registry, UnknownNamesListWhatThereIs) {
  const std::string message = refusal("warp");
  for (const char* part : {"warp", "cpu", "reference", "auto"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  ::setenv("TCA_BACKEND", "quantum", 1);
  const std::string from_environment = refusal("auto");
  EXPECT_NE(from_environment.find("TCA_BACKEND"), std::string::npos) << from_environment;
  EXPECT_NE(from_environment.find("quantum"), std::string::npos) << from_environment;
}

TEST_F(Registry, AForcedTargetIsTheOneThatRuns) {
  const std::vector<std::string> targets = cpu_targets();
  ASSERT_FALSE(targets.empty());
  for (const std::string& target : targets) {
    EXPECT_EQ(create_cpu_backend_for_target(pool_, target)->capabilities().isa, target);
  }
  // What a user gets is one of them, too.
  EXPECT_EQ(std::count(targets.begin(), targets.end(), create_backend("cpu", pool_)->capabilities().isa), 1);
  EXPECT_THROW(create_cpu_backend_for_target(pool_, "ABACUS"), Error);
}

TEST_F(Registry, BreakEvenGrowsWithTheKeptShare) {
  for (const std::string& name : available_backends()) {
    const std::unique_ptr<Backend> backend = create_backend(name, pool_);
    for (const std::int32_t head_dim : {64, 128}) {
      std::int64_t previous = 0;
      for (const double kept_share : {0.0, 0.1, 0.2, 0.5, 1.0}) {
        const std::int64_t tokens = backend->break_even_tokens(kept_share, head_dim);
        EXPECT_GE(tokens, previous) << name << ", " << kept_share;
        previous = tokens;
      }
    }
  }
}

}  // namespace
}  // namespace tca::backend_test
