// Checkpoints and tokenizers whose memory runs out while their files are read.
#include <gtest/gtest.h>

#include <functional>

#include "core/faults/failing_new.h"
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

}  // namespace
}  // namespace tca::runtime
