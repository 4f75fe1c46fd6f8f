#include "cli/progress.h"

#include <gtest/gtest.h>

#include "cli/terminal.h"

namespace tca::cli {
namespace {

TEST(Progress, ShowsShareAndTimeLeft) {
  const std::string line = progress_line("reading", 25, 100, 10, 80);
  EXPECT_TRUE(line.starts_with("reading  ━")) << line;
  EXPECT_TRUE(line.ends_with(" 25 %  30 s left")) << line;
}

TEST(Progress, NoTimeLeftBeforeAnythingIsKnown) {
  EXPECT_EQ(progress_line("reading", 0, 100, 10, 80).find("left"), std::string::npos);
  EXPECT_EQ(progress_line("reading", 50, 100, 0.01, 80).find("left"), std::string::npos);
}

TEST(Progress, AlwaysFitsTheTerminal) {
  for (std::size_t width = 0; width <= 120; ++width) {
    for (const std::int64_t done : {0, 1, 50, 100}) {
      const std::string line = progress_line("full attention: reading the document", done, 100, 100, width);
      EXPECT_LE(display_width(line), width) << line;
    }
  }
}

TEST(Progress, OddTotalsAreHarmless) {
  EXPECT_NE(progress_line("x", 0, 0, 1, 80).find("  0 %"), std::string::npos);
  EXPECT_NE(progress_line("x", 5, -1, 1, 80).find("  0 %"), std::string::npos);
  EXPECT_NE(progress_line("x", 200, 100, 1, 80).find("100 %"), std::string::npos);
}

TEST(Progress, LongTimesAreInMinutes) {
  EXPECT_NE(progress_line("x", 1, 10, 60, 80).find("9 min 00 s left"), std::string::npos);
}

}  // namespace
}  // namespace tca::cli
