// Tables of profiles, deep models among them.
#include "cli/profile_report.h"

#include <gtest/gtest.h>

namespace tca::cli {
namespace {

// Layer l keeps all its blocks when l is odd, none when it is even.
Profile profile_with(int num_layers) {
  Profile profile;
  profile.model = {"A", num_layers, 2, 1, 64, "r", 9, std::string(64, 'a')};
  ProfileBudget budget{.objective = "tail-risk", .budget = 0.5, .kept_share = 0.5, .layers = {}};
  for (int l = 0; l < num_layers; ++l) {
    const BlockShares shares = l % 2 == 1 ? BlockShares::full(64) : BlockShares::window(64);
    budget.layers.push_back({HeadProfile{.keep = shares}});
  }
  profile.budgets = {budget};
  return profile;
}

TEST(ProfileReport, TenLayersAreShownOneByOne) {
  const std::string text = budgets_table(profile_with(10), Style(false));
  EXPECT_NE(text.find("kept by layer\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  0 100   0 100   0 100   0 100   0 100\n"), std::string::npos) << text;
}

TEST(ProfileReport, MoreAreShownInRanges) {
  // 26 layers: ranges of three, each with one or two full layers; the last range has two layers.
  const std::string text = budgets_table(profile_with(26), Style(false));
  EXPECT_NE(text.find("kept by 3 layers\n"), std::string::npos) << text;
  EXPECT_NE(text.find(" 33  67  33  67  33  67  33  67  50\n"), std::string::npos) << text;
  EXPECT_NE(text.find("layers 0-2, 3-5 and so on"), std::string::npos) << text;
}

}  // namespace
}  // namespace tca::cli
