// Checkpoints and tokenizers whose memory runs out while their files are read.
#include <gtest/gtest.h>

#include <functional>

#include "core/faults/failing_new.h"
#include "core/temporary_folder.h"
#include "gguf/gguf_builder.h"
#include "io/write_file.h"
#include "model/tiny_model.h"
#include "runtime/io/model_config.h"
#include "runtime/io/safetensors.h"
#include "runtime/tokenizer/tokenizer.h"
#include "tokenizer/tiny_tokenizers.h"

namespace tca::runtime {
namespace {

using testing::write_file;

void check(const std::function<void()>& operation) {
  for (const bool and_later : {false, true}) EXPECT_GT(testing::fail_every_allocation(operation, and_later), 50);
}

TEST(IoFaults, ConfigurationsAreReadOrNot) {
  const test::TinyModel files;
  const std::string dir = files.dir();
  check([&] { ModelConfig::load(dir); });
}

TEST(IoFaults, CheckpointsAreOpenedOrNot) {
  const test::TinyModel whole, shards({.sharded = true});
  for (const std::string& dir : {whole.dir(), shards.dir()}) check([&] { Checkpoint::open(dir); });
}

TEST(IoFaults, TokenizersAreReadOrNot) {
  const test::TinyModel files;
  const std::string dir = files.dir();
  write_file(files.file("tokenizer.json"), testing::byte_level_config().dump());
  write_file(files.file("tokenizer_config.json"),
             R"({"added_tokens_decoder": {"270": {"content": "<tool>", "special": true, "more": [1, [2]]}}})");
  check([&] { Tokenizer::load(dir); });
  write_file(files.file("tokenizer_config.json"), R"({"eos_token": {"content": "<tool>"}})");
  write_file(files.file("added_tokens.json"), R"({"<tool>": 270})");
  check([&] { Tokenizer::load(dir); });
}

TEST(IoFaults, GgufFilesAreReadOrNot) {
  const testing::TemporaryFolder folder;
  testing::GgufBuilder file = testing::tiny_llama();
  testing::add_scored_tokenizer(file, {{"a", -1}, {"b", -2}, {"ab", -3}, {"▁", -4}});
  file.tensor("token_embd.weight", {8, 3}, 0, std::string(96, '\0'));
  file.tensor("rope_freqs.weight", {2}, 0, testing::floats({1, 2}));
  const std::string path = folder.file("m.gguf");
  write_file(path, file.bytes());
  check([&] { ModelConfig::load(path); });
  check([&] { TensorSource::open(path); });
  check([&] { Tokenizer::load(path); });
}

}  // namespace
}  // namespace tca::runtime
