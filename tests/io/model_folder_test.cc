#include "runtime/io/model_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/expect_error.h"
#include "core/temporary_folder.h"
#include "io/write_file.h"

namespace tca::runtime {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::TemporaryFolder;
using testing::write_file;

class ModelFolderTest : public ::testing::Test {
 protected:
  void write(const std::string& name, std::string_view bytes = "x") {
    fs::create_directories(fs::path(folder_.file(name)).parent_path());
    write_file(folder_.file(name), bytes);
  }
  void expect_said(ModelPart part, const std::string& text, const std::string& name = "") {
    expect_error(ErrorCategory::kIo, text, [&] { fail_without(folder_.file(name), part); });
  }
  TemporaryFolder folder_;
};

TEST_F(ModelFolderTest, SaysWhatIsMissing) {
  fs::create_directory(folder_.file("empty"));
  expect_said(ModelPart::kConfig, "holds no config.json: it is empty", "empty");
  write("README.md");
  expect_said(ModelPart::kConfig, "holds no config.json: expected the folder of a Hugging Face checkpoint");
  expect_said(ModelPart::kWeights, "holds no model.safetensors or model.safetensors.index.json: expected");
  expect_said(ModelPart::kTokenizer, "holds no tokenizer.json: expected");
  expect_said(ModelPart::kConfig, "no such folder", "nowhere");
}

TEST_F(ModelFolderTest, FilesInsteadOfFolders) {
  write("model.gguf", std::string_view("GGUF\x03\0\0\0", 8));
  expect_said(ModelPart::kConfig, "model.gguf: is a GGUF file, which stands for a whole model", "model.gguf");
  write("model.safetensors", std::string_view("\x02\0\0\0\0\0\0\0{}", 10));
  expect_said(ModelPart::kConfig, "model.safetensors: is a file; expected the folder of a model", "model.safetensors");
}

TEST_F(ModelFolderTest, AdaptersAreNamedWithTheirBase) {
  write("adapter_model.safetensors");
  write("adapter_config.json", R"({"base_model_name_or_path": "meta-llama/Llama-3.2-1B", "lora_alpha": NaN})");
  for (const ModelPart part : {ModelPart::kConfig, ModelPart::kWeights, ModelPart::kTokenizer}) {
    expect_said(part, "it is a LoRA adapter");
    expect_said(part, "merge it into its base model, meta-llama/Llama-3.2-1B, with PEFT");
  }
  write("adapter_config.json", "{");
  expect_said(ModelPart::kConfig, "merge it into its base model with PEFT");
}

TEST_F(ModelFolderTest, OtherWeights) {
  write("config.json");
  write("pytorch_model-00001-of-00002.bin");
  expect_said(ModelPart::kWeights, "its weights are PyTorch's (pytorch_model-00001-of-00002.bin); save them as");
  fs::remove(folder_.file("pytorch_model-00001-of-00002.bin"));
  write("Q4_K_M.gguf");
  expect_said(ModelPart::kWeights, "Q4_K_M.gguf is a GGUF file, which stands for a whole model");
  fs::remove(folder_.file("Q4_K_M.gguf"));
  write("model-00002-of-00002.safetensors");
  expect_said(ModelPart::kWeights, "of safetensors it holds model-00002-of-00002.safetensors");
}

TEST_F(ModelFolderTest, OtherTokenizers) {
  write("tokenizer.model");
  expect_said(ModelPart::kTokenizer, "it has tokenizer.model alone; make tokenizer.json of it: AutoTokenizer");
  write("vocab.json");
  write("merges.txt");
  expect_said(ModelPart::kTokenizer, "it has vocab.json and merges.txt alone");
}

TEST_F(ModelFolderTest, FoldersOfModels) {
  for (const char* name : {"b", "a", "c", "d", "e"}) write(std::string(name) + "/config.json", "{}");
  write("f/readme");
  expect_said(ModelPart::kConfig, "folders in it are models: " + folder_.file("a") + ", " + folder_.file("b"));
  expect_said(ModelPart::kConfig, folder_.file("d") + ", ...");
}

TEST_F(ModelFolderTest, TheTopOfACacheOffersItsSnapshots) {
  EXPECT_TRUE(hub_snapshots(folder_.file("")).empty());
  write("snapshots/aaa/config.json", "{}");
  write("snapshots/bbb/config.json", "{}");
  write("blobs/123");
  const std::string aaa = folder_.file("snapshots/aaa"), bbb = folder_.file("snapshots/bbb");
  EXPECT_EQ(hub_snapshots(folder_.file("")), (std::vector<std::string>{aaa, bbb}));
  expect_said(ModelPart::kConfig,
              "top folder of a model in a Hugging Face cache; give a snapshot: " + aaa + ", " + bbb);
  write("refs/main", "bbb\n");
  EXPECT_EQ(hub_snapshots(folder_.file("")), (std::vector<std::string>{bbb, aaa}));
  write("refs/main", "ccc");  // not here
  EXPECT_EQ(hub_snapshots(folder_.file("")), (std::vector<std::string>{aaa, bbb}));
}

}  // namespace
}  // namespace tca::runtime
