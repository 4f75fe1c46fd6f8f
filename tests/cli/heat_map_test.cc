#include "cli/heat_map.h"

#include <gtest/gtest.h>

#include <sstream>

namespace tca::cli {
namespace {

TEST(HeatMap, PlainNumbersWithoutColour) {
  const HeatMap map{"tail-risk 0.20", {{0, 1}, {0.004, 0.374}}};
  EXPECT_EQ(render_heat_maps({map}, Style(false, 100)),
            "tail-risk 0.20\n"
            "      0   1\n"
            "  0   0 100\n"
            "  1  <1  37\n");
}

TEST(HeatMap, SideBySideAsLongAsTheyFit) {
  const HeatMap map{"a title of twenty col", {{0.5, 0.5}, {0.5, 0.5}}};  // 21 columns
  const std::string two = render_heat_maps({map, map, map}, Style(false, 50));
  EXPECT_TRUE(two.starts_with("a title of twenty col   a title of twenty col\n")) << two;
  EXPECT_NE(two.find("\n\na title of twenty col\n"), std::string::npos) << two;
  std::istringstream in(two);
  for (std::string line; std::getline(in, line);) EXPECT_LE(display_width(line), 50u);
}

TEST(HeatMap, ManyHeadsBecomeDigits) {
  const HeatMap map{"m", {std::vector<double>(64, 1.0), std::vector<double>(64, 0.25)}};
  const std::string text = render_heat_maps({map}, Style(false, 100));
  EXPECT_NE(text.find("  0 " + std::string(64, '9')), std::string::npos) << text;
  EXPECT_NE(text.find("  1 " + std::string(64, '2')), std::string::npos) << text;
}

TEST(HeatMap, SharesOutOfRangeAreClamped) {
  const std::string text = render_heat_maps({{"m", {{-1, 7}}}}, Style(false, 100));
  EXPECT_NE(text.find("  0   0 100"), std::string::npos) << text;
}

TEST(HeatMap, ColourOnlyAddsSequences) {
  const HeatMap map{"m", {{0, 0.3, 1}}};
  std::string coloured = render_heat_maps({map}, Style(true, 100));
  EXPECT_NE(coloured.find("48;5;17m"), std::string::npos);   // drops all
  EXPECT_NE(coloured.find("48;5;226m"), std::string::npos);  // keeps all
}

TEST(HeatMap, NoMapsNoText) { EXPECT_EQ(render_heat_maps({}, Style(false, 100)), ""); }

}  // namespace
}  // namespace tca::cli
