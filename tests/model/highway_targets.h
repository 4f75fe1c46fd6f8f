// Tests that run once on every vector target of this build that this CPU has.
#pragma once

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tca::test {

/// The chosen target is the process's, so the destructor sets it back.
class OnEveryTarget : public testing::TestWithParam<std::int64_t> {
 protected:
  OnEveryTarget() {
    hwy::SetSupportedTargetsForTest(GetParam());
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  ~OnEveryTarget() override {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

inline auto every_target() {
  std::vector<std::int64_t> targets;
  for (std::int64_t all = hwy::SupportedTargets() & HWY_TARGETS; all != 0; all &= all - 1) {
    targets.push_back(all & -all);
  }
  return testing::ValuesIn(targets);
}

inline std::string target_name(const testing::TestParamInfo<std::int64_t>& target) {
  return hwy::TargetName(target.param);
}

}  // namespace tca::test
