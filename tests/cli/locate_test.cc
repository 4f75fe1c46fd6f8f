#include "cli/locate.h"

#include <gtest/gtest.h>

#include "tca/error.h"

namespace tca::cli {
namespace {

using Folders = std::vector<std::string>;

TEST(Locate, EnvironmentThenInstalledThenSourceTree) {
  EXPECT_EQ(search_folders("models", "/m", "/usr/bin"), (Folders{"/m", "/usr/share/tca/models", "/models"}));
  EXPECT_EQ(search_folders("models", nullptr, "/src/tca/build/release"),
            (Folders{"/src/tca/build/share/tca/models", "/src/tca/models"}));
  EXPECT_EQ(search_folders("data", "", "/src/tca/build/release"),
            (Folders{"/src/tca/build/share/tca/data", "/src/tca/examples/data"}));
}

TEST(Locate, SaysWhereItLooked) {
  try {
    locate_model("no-such-model");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kIo);
    EXPECT_NE(std::string(error.what()).find("no-such-model"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("share/tca/models"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("TCA_MODELS"), std::string::npos);
  }
}

TEST(Locate, PathsAreTakenAsTheyAre) {
  EXPECT_EQ(locate_model("/tmp"), "/tmp");
  EXPECT_THROW(locate_model("/no/such/dir"), Error);
  EXPECT_THROW(locate_model(""), Error);
  EXPECT_THROW(locate_text("/tmp"), Error);  // a directory is no text
}

}  // namespace
}  // namespace tca::cli
