#include "runtime/gguf/gguf_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "core/expect_error.h"
#include "core/temporary_folder.h"
#include "gguf/gguf_builder.h"
#include "io/write_file.h"

namespace tca::runtime {
namespace {

using nlohmann::json;
using testing::expect_error;
using testing::GgufBuilder;
using testing::tiny_llama;

class GgufConfigTest : public ::testing::Test {
 protected:
  json config(const GgufBuilder& builder) {
    testing::write_file(folder_.file("m.gguf"), builder.bytes());
    return *gguf_config(GgufFile::open(folder_.file("m.gguf")));
  }
  void expect_refused(const GgufBuilder& builder, const std::string& part) {
    expect_error(ErrorCategory::kUnsupported, part, [&] { config(builder); });
  }
  testing::TemporaryFolder folder_;
};

TEST_F(GgufConfigTest, KeysBecomeFields) {
  const json found = config(tiny_llama());
  EXPECT_EQ(found["architectures"], json::array({"LlamaForCausalLM"}));
  EXPECT_EQ(found["num_hidden_layers"], 1);
  EXPECT_EQ(found["hidden_size"], 8);
  EXPECT_EQ(found["intermediate_size"], 16);
  EXPECT_EQ(found["num_attention_heads"], 2);
  EXPECT_EQ(found["num_key_value_heads"], 1);
  EXPECT_EQ(found["head_dim"], 4);
  EXPECT_EQ(found["max_position_embeddings"], 128);
  EXPECT_EQ(found["rms_norm_eps"], 1e-5);
  EXPECT_EQ(found["rope_theta"], 500000);
  EXPECT_EQ(found["rope_scaling"], nullptr);
  EXPECT_EQ(found["tie_word_embeddings"], true);
  EXPECT_EQ(found["attention_bias"], false);
}

TEST_F(GgufConfigTest, TensorsSayWhatKeysDoNot) {
  GgufBuilder builder = tiny_llama();
  builder.tensor("output.weight", {8, 3}, 0, std::string(96, 0));
  builder.tensor("token_embd.weight", {8, 3}, 0, std::string(96, 0));
  builder.tensor("blk.0.attn_output.bias", {8}, 0, std::string(32, 0));
  builder.tensor("blk.0.ffn_down.bias", {8}, 0, std::string(32, 0));
  const json found = config(builder);
  EXPECT_EQ(found["tie_word_embeddings"], false);
  EXPECT_EQ(found["vocab_size"], 3);
  EXPECT_EQ(found["attention_bias"], true);
  EXPECT_EQ(found["mlp_bias"], true);
}

TEST_F(GgufConfigTest, RopeScalingIsNamedAsInCheckpoints) {
  json found = config(tiny_llama().string("llama.rope.scaling.type", "linear").f32("llama.rope.scaling.factor", 4));
  EXPECT_EQ(found["rope_scaling"], (json{{"rope_type", "linear"}, {"factor", 4.0}}));
  found = config(tiny_llama().f32("llama.rope.scale_linear", 2));
  EXPECT_EQ(found["rope_scaling"]["factor"], 2);
  found = config(tiny_llama()
                     .string("llama.rope.scaling.type", "yarn")
                     .f32("llama.rope.scaling.factor", 4)
                     .u32("llama.rope.scaling.original_context_length", 32));
  EXPECT_EQ(found["rope_scaling"],
            (json{{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}}));
  expect_refused(tiny_llama().string("llama.rope.scaling.type", "longrope"), R"(rope.scaling.type is "longrope")");
}

TEST_F(GgufConfigTest, FrequencyFactorsAreRecognisedOrCarried) {
  const auto scaling = [&](const std::vector<float>& factors) {
    GgufBuilder builder = tiny_llama(/*head_dim=*/8);
    return config(builder.tensor("rope_freqs.weight", {factors.size()}, 0, testing::floats(factors)))["rope_scaling"];
  };
  // Four frequencies at a base of 500000: wavelengths of 6, 167, 4443 and 118144 tokens, the third between the bounds.
  const double share = (8192 / (2 * std::numbers::pi * std::sqrt(500000.0)) - 1) / 3;
  const auto blended = static_cast<float>(1 / ((1 - share) / 8 + share));
  EXPECT_EQ(scaling({1, 1, blended, 8}), (json{{"rope_type", "llama3"},
                                               {"factor", 8.0},
                                               {"low_freq_factor", 1.0},
                                               {"high_freq_factor", 4.0},
                                               {"original_max_position_embeddings", 8192.0}}));
  EXPECT_EQ(scaling({1, 1, 1, 1}), nullptr);
  EXPECT_EQ(scaling({1, 1, 2, 8}), (json{{"rope_type", "factors"}, {"factors", {1.0, 1.0, 2.0, 8.0}}}));
  EXPECT_EQ(scaling({1, NAN, blended, 8})["rope_type"], "factors");  // which the configuration's reader refuses
  expect_error(ErrorCategory::kUnsupported,
               "rope_freqs.weight is F32; supported: F32, one value for each two of a head's 8", [&] {
                 scaling({1, 1, 1});
               });
}

TEST_F(GgufConfigTest, WhatIsNotComputedIsRefusedByName) {
  expect_refused(GgufBuilder().string("general.architecture", "gemma3"),
                 R"(general.architecture is "gemma3"; supported: llama, qwen2, qwen3)");
  expect_refused(tiny_llama().u32("llama.expert_count", 8), "llama.expert_count is 8: mixtures of experts");
  expect_refused(tiny_llama().u32("llama.attention.key_length", 16).u32("llama.attention.value_length", 8),
                 "llama.attention.value_length is 8, but llama.attention.key_length 16");
  expect_refused(tiny_llama().u32("llama.attention.key_length", 16),
                 "llama.rope.dimension_count is 4, but heads have 16");
  expect_error(ErrorCategory::kBadFile, "general.architecture is missing", [&] { config(GgufBuilder()); });
  expect_error(ErrorCategory::kBadFile, "llama.block_count is missing",
               [&] { config(GgufBuilder().string("general.architecture", "llama")); });
}

TEST_F(GgufConfigTest, AWindowIsThatOfEveryLayer) {
  const json found = config(tiny_llama().u32("llama.attention.sliding_window", 64));
  EXPECT_EQ(found["architectures"][0], "MistralForCausalLM");
  EXPECT_EQ(found["sliding_window"], 64);
}

TEST_F(GgufConfigTest, StopTokensAreTheNamedAndThoseThatEndATurnByTheirText) {
  GgufBuilder builder = tiny_llama();
  builder.strings("tokenizer.ggml.tokens", {"a", "<|eot_id|>", "<|im_end|>", "<|end|>", "</s>"});
  builder.array<std::int32_t>("tokenizer.ggml.token_type", 5, {1, 3, 4, 1, 3});
  builder.u32("tokenizer.ggml.eos_token_id", 4).u32("tokenizer.ggml.eom_token_id", 0);
  EXPECT_EQ(config(builder)["eos_token_id"], json::array({4, 0, 1, 2}));  // "<|end|>" is text there
  GgufBuilder wrong = tiny_llama();
  wrong.strings("tokenizer.ggml.tokens", {"a"}).array<std::int32_t>("tokenizer.ggml.token_type", 5, {7});
  expect_error(ErrorCategory::kBadFile, "tokenizer.ggml.token_type[0] is 7", [&] { config(wrong); });
}

}  // namespace
}  // namespace tca::runtime
