// That the program under test has the AMX kernels with emulated tiles in it, wherever their vectors run.
#include <gtest/gtest.h>

#include "cpu/targets.h"

namespace tca::cpu {
namespace {

TEST(EmulatedAmx, ComesFirstWhereThereIsAvx512Bf16) {
  EXPECT_EQ(usable_targets().front().name == "AMX_BF16", has_avx512_bf16());
}

}  // namespace
}  // namespace tca::cpu
