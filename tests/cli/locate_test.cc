#include "cli/locate.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "core/expect_error.h"
#include "core/temporary_folder.h"
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

TEST(Locate, TheHubsCacheIsWhereItsToolsHaveIt) {
  using Environment = std::map<std::string, const char*>;
  const auto cache = [](const Environment& environment) {
    return hub_cache([&](const char* name) {
      const auto found = environment.find(name);
      return found == environment.end() ? nullptr : found->second;
    });
  };
  Environment environment = {{"HOME", "/home/a"}};
  EXPECT_EQ(cache(environment), "/home/a/.cache/huggingface/hub");
  environment["XDG_CACHE_HOME"] = "/caches";
  EXPECT_EQ(cache(environment), "/caches/huggingface/hub");
  environment["HF_HOME"] = "/hf";
  EXPECT_EQ(cache(environment), "/hf/hub");
  environment["HUGGINGFACE_HUB_CACHE"] = "/older";
  EXPECT_EQ(cache(environment), "/older");
  environment["HF_HUB_CACHE"] = "/hub";
  EXPECT_EQ(cache(environment), "/hub");
  environment["HF_HUB_CACHE"] = "";
  EXPECT_EQ(cache(environment), "/older");
}

class HubCacheTest : public ::testing::Test {
 protected:
  HubCacheTest() { ::setenv("HF_HUB_CACHE", cache_.file("").c_str(), 1); }
  ~HubCacheTest() override { ::unsetenv("HF_HUB_CACHE"); }
  void write(const std::string& name, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(cache_.file(name)).parent_path());
    std::ofstream(cache_.file(name)) << content;
  }
  testing::TemporaryFolder cache_;
};

TEST_F(HubCacheTest, NamesOfTheHubAreFoundThere) {
  write("models--org--name/snapshots/abc/config.json", "{}");
  const std::string abc = cache_.file("models--org--name/snapshots/abc");
  EXPECT_EQ(locate_model("org/name"), abc);  // the only one
  write("models--org--name/snapshots/abd/config.json", "{}");
  testing::expect_error(ErrorCategory::kIo, "has several snapshots and no refs/main: give the folder of one: " + abc,
                        [] { locate_model("org/name"); });
  write("models--org--name/refs/main", "abd");
  EXPECT_EQ(locate_model("org/name"), cache_.file("models--org--name/snapshots/abd"));
  write("models--gpt2/snapshots/1/config.json", "{}");
  EXPECT_EQ(locate_model("gpt2"), cache_.file("models--gpt2/snapshots/1"));
}

TEST_F(HubCacheTest, UnknownNamesSayWhereADownloadWouldLie) {
  testing::expect_error(
      ErrorCategory::kIo,
      "model 'org/name': no such directory; nothing is downloaded: what `hf download org/name` fetches "
      "would lie in " +
          cache_.file("models--org--name"),
      [] { locate_model("org/name"); });
  for (const char* path : {"/org/name", "./name", "a/b/c", "org/na me", "../x", "org/"}) {
    try {
      locate_model(path);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find("downloaded"), std::string::npos) << error.what();
    }
  }
}

TEST_F(HubCacheTest, AFileIsNamedForWhatItIs) {
  write("model.gguf", "GGUF\x03");
  EXPECT_EQ(locate_model(cache_.file("model.gguf")), cache_.file("model.gguf"));
}

TEST(Locate, ModelsAreCalledByTheirFolderOrTheHubsName) {
  EXPECT_EQ(model_name("/models/lookback-28m"), "lookback-28m");
  EXPECT_EQ(model_name("/models/lookback-28m/"), "lookback-28m");
  EXPECT_EQ(model_name("/hub/models--org--a--b/snapshots/0123/"), "org/a--b");
  EXPECT_EQ(model_name("/hub/models--gpt2/snapshots/0123"), "gpt2");
  EXPECT_EQ(model_name("/hub/other/snapshots/0123"), "0123");
}

TEST(Locate, PathsAreTakenAsTheyAre) {
  EXPECT_EQ(locate_model("/tmp"), "/tmp");
  EXPECT_THROW(locate_model("/no/such/dir"), Error);
  EXPECT_THROW(locate_model(""), Error);
  EXPECT_THROW(locate_text("/tmp"), Error);  // a directory is no text
}

}  // namespace
}  // namespace tca::cli
