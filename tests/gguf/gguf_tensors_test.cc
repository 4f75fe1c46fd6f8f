#include "runtime/io/gguf_tensors.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/expect_error.h"
#include "core/temporary_folder.h"
#include "gguf/gguf_builder.h"
#include "io/write_file.h"

namespace tca::runtime {
namespace {

using testing::expect_error;
using testing::tiny_llama;

TEST(GgufTensors, NamesAreThoseOfCheckpoints) {
  EXPECT_EQ(checkpoint_name("token_embd.weight"), "model.embed_tokens.weight");
  EXPECT_EQ(checkpoint_name("output.weight"), "lm_head.weight");
  EXPECT_EQ(checkpoint_name("output_norm.weight"), "model.norm.weight");
  EXPECT_EQ(checkpoint_name("blk.12.attn_q.bias"), "model.layers.12.self_attn.q_proj.bias");
  EXPECT_EQ(checkpoint_name("blk.0.ffn_norm.weight"), "model.layers.0.post_attention_layernorm.weight");
  for (const char* other : {"rope_freqs.weight", "blk.0.ssm_in.weight", "blk.weight", "blk.0", "x", ""}) {
    EXPECT_EQ(checkpoint_name(other), other);
  }
}

TEST(GgufTensors, RotatedRowsComeInTheOrderOfTheCheckpoint) {
  const testing::TemporaryFolder folder;
  // Two heads of four rows of 8; element = 8 row + column.
  std::vector<float> q(64), bias(8);
  std::iota(q.begin(), q.end(), 0.0f);
  std::iota(bias.begin(), bias.end(), 0.0f);
  testing::GgufBuilder builder = tiny_llama();
  builder.tensor("blk.0.attn_q.weight", {8, 8}, 0, testing::floats(q));
  builder.tensor("blk.0.attn_q.bias", {8}, 0, testing::floats(bias));
  builder.tensor("blk.0.attn_v.weight", {8, 4}, 0, testing::floats(std::vector<float>(q.begin(), q.begin() + 32)));
  builder.info("odd", {256}, 16, 0);
  testing::write_file(folder.file("m.gguf"), builder.bytes());
  const auto source = TensorSource::open(folder.file("m.gguf"));

  const StoredTensor& stored = source->get("model.layers.0.self_attn.q_proj.weight", {8, 8});
  EXPECT_FALSE(stored.is_plain());
  std::vector<float> rows(64), values(8);
  read_rows(stored, 0, 8, rows.data());
  read_vector(source->get("model.layers.0.self_attn.q_proj.bias", {8}), values.data());
  const std::int64_t order[] = {0, 2, 1, 3, 4, 6, 5, 7};
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(rows[8 * i], static_cast<float>(8 * order[i]));
    EXPECT_EQ(values[i], static_cast<float>(order[i]));
  }
  EXPECT_TRUE(source->get("model.layers.0.self_attn.v_proj.weight", {4, 8}).is_plain());
  EXPECT_FALSE(source->has("odd"));
  expect_error(ErrorCategory::kUnsupported, R"("odd" is stored as "IQ2_XXS"; supported: F32, F16, BF16, Q8_0)",
               [&] { source->get("odd", {256}); });
  expect_error(ErrorCategory::kBadFile, "\"none\" is missing from the checkpoint", [&] { source->get("none", {1}); });
  const auto types = source->types();
  ASSERT_EQ(types.size(), 2u);
  EXPECT_EQ(types[0].type, "fp32");
  EXPECT_EQ(types[0].tensors, 3);
  EXPECT_EQ(types[1].type, "IQ2_XXS");
}

TEST(GgufTensors, HeadsThatTheRowsDoNotMakeUpAreNamed) {
  const testing::TemporaryFolder folder;
  testing::GgufBuilder builder = tiny_llama();
  builder.tensor("blk.0.attn_k.weight", {8, 3}, 0, std::string(96, 0));
  testing::write_file(folder.file("m.gguf"), builder.bytes());
  expect_error(ErrorCategory::kBadFile, R"("blk.0.attn_k.weight" has shape [3, 8], no multiple of heads of 4)",
               [&] { TensorSource::open(folder.file("m.gguf")); });
}

}  // namespace
}  // namespace tca::runtime
