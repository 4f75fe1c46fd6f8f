#include "runtime/io/model_config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/expect_error.h"
#include "core/temporary_folder.h"
#include "io/write_file.h"

namespace tca::runtime {
namespace {

using nlohmann::json;
using testing::expect_error;
using testing::write_file;

const json kLlama = {{"architectures", {"LlamaForCausalLM"}},
                     {"hidden_size", 512},
                     {"num_hidden_layers", 3},
                     {"num_attention_heads", 8},
                     {"num_key_value_heads", 2},
                     {"intermediate_size", 1024},
                     {"vocab_size", 1000},
                     {"max_position_embeddings", 8192},
                     {"rms_norm_eps", 1e-5},
                     {"rope_theta", 500000.0},
                     {"bos_token_id", 1},
                     {"eos_token_id", 2}};

/// Which products of the layers have one: letters of q, k, v, o, gate, up, down.
std::string biases_of(const ModelConfig& config) {
  const LayerSpec& layer = config.layers[0];
  std::string found;
  for (const auto& [matrix, letter] :
       {std::pair{&layer.q, 'q'}, std::pair{&layer.k, 'k'}, std::pair{&layer.v, 'v'}, std::pair{&layer.o, 'o'},
        std::pair{&layer.mlp.gate, 'g'}, std::pair{&layer.mlp.up, 'u'}, std::pair{&layer.mlp.down, 'd'}}) {
    if (matrix->bias) found += letter;
  }
  return found;
}

class ModelConfigTest : public ::testing::Test {
 protected:
  // kLlama with changes; a null value removes nothing, it is written as null.
  ModelConfig load(const json& changes = json::object()) {
    json config = kLlama;
    config.update(changes);
    return load_text(config.dump());
  }
  ModelConfig load_for(const char* architecture, json changes = json::object()) {
    changes["architectures"] = {architecture};
    return load(changes);
  }
  ModelConfig load_without(const char* field, const char* architecture = "LlamaForCausalLM") {
    json config = kLlama;
    config["architectures"] = {architecture};
    config.erase(field);
    return load_text(config.dump());
  }
  ModelConfig load_text(const std::string& text) {
    write_file(folder_.file("config.json"), text);
    return ModelConfig::load(folder_.file(""));
  }
  void expect_bad(const json& changes, const std::string& part) {
    expect_error(ErrorCategory::kBadFile, part, [&] { load(changes); });
  }
  void expect_unsupported(const json& changes, const std::string& part) {
    expect_error(ErrorCategory::kUnsupported, part, [&] { load(changes); });
  }
  testing::TemporaryFolder folder_;
};

TEST_F(ModelConfigTest, ReadsEveryField) {
  const ModelConfig config = load();
  EXPECT_EQ(config.architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.hidden_size, 512);
  EXPECT_EQ(config.num_layers, 3);
  EXPECT_EQ(config.num_heads, 8);
  EXPECT_EQ(config.num_kv_heads, 2);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.intermediate_size, 1024);
  EXPECT_EQ(config.vocab_size, 1000);
  EXPECT_EQ(config.max_position, 8192);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.eos_tokens, std::vector<std::int32_t>{2});
  EXPECT_EQ(config.ropes[0].theta, 500000.0);
  EXPECT_EQ(config.ropes[0].scaling, RopeScaling::kNone);
  EXPECT_EQ(biases_of(config), "");
  EXPECT_FALSE(config.layers[0].q_norm.exists() || config.tie_word_embeddings);
  EXPECT_FALSE(config.sliding_window);
}

TEST_F(ModelConfigTest, ArchitecturesDifferInBiasesNormsAndDefaults) {
  const ModelConfig llama = load({{"attention_bias", true}, {"mlp_bias", true}});
  EXPECT_EQ(biases_of(llama), "qkvogud");
  const ModelConfig mistral = load_for("MistralForCausalLM", {{"attention_bias", true}});
  EXPECT_EQ(biases_of(mistral), "");
  EXPECT_FALSE(mistral.layers[0].q_norm.exists());
  const ModelConfig qwen2 = load_for("Qwen2ForCausalLM");
  EXPECT_EQ(biases_of(qwen2), "qkv");
  EXPECT_FALSE(qwen2.layers[0].q_norm.exists());
  const ModelConfig qwen3 = load_for("Qwen3ForCausalLM", {{"tie_word_embeddings", true}});
  EXPECT_TRUE(qwen3.layers[2].q_norm.exists() && qwen3.layers[2].k_norm.exists() && qwen3.tie_word_embeddings);
  EXPECT_EQ(biases_of(qwen3), "");
  EXPECT_EQ(qwen3.head_dim, 128);

  EXPECT_EQ(load_without("num_key_value_heads").num_kv_heads, 8);
  EXPECT_EQ(load_without("num_key_value_heads", "MistralForCausalLM").num_kv_heads, 8);
  EXPECT_EQ(load({{"num_key_value_heads", nullptr}}).num_kv_heads, 8);
  EXPECT_EQ(load_without("max_position_embeddings").max_position, 2048);
  EXPECT_EQ(load_without("max_position_embeddings", "Qwen2ForCausalLM").max_position, 32768);
  EXPECT_EQ(load_without("rms_norm_eps").rms_norm_eps, 1e-6);
  EXPECT_EQ(load_without("rope_theta").ropes[0].theta, 10000);
}

TEST_F(ModelConfigTest, UnknownArchitecturesAreNamedWithTheSupportedOnes) {
  expect_unsupported({{"architectures", {"GPT2LMHeadModel"}}},
                     "architectures[0] is \"GPT2LMHeadModel\"; supported: LlamaForCausalLM, MistralForCausalLM");
  expect_unsupported(
      {{"architectures", {"DeepseekV3ForCausalLM"}}},
      "\"DeepseekV3ForCausalLM\", which has multi-head latent attention: not supported; supported: Llama");
  expect_unsupported({{"architectures", {"Qwen3NextForCausalLM"}}}, "which has layers with linear attention");
  expect_bad({{"architectures", json::array()}}, "architectures");
  expect_bad({{"architectures", "LlamaForCausalLM"}}, "architectures");
  json config = kLlama;
  config.erase("architectures");
  config["model_type"] = "qwen2";
  EXPECT_EQ(load_text(config.dump()).architecture, "Qwen2ForCausalLM");
  config["model_type"] = "gpt2";
  expect_error(ErrorCategory::kUnsupported, "model_type is \"gpt2\"", [&] { load_text(config.dump()); });
}

TEST_F(ModelConfigTest, NumbersOutOfRangeAreRefused) {
  for (const char* field :
       {"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"}) {
    for (const json& value : {json(0), json(-1), json(1e9), json("8"), json(99999999999), json(1.5), json(true)}) {
      expect_bad({{field, value}}, field);
    }
    expect_error(ErrorCategory::kBadFile, std::string(field) + " is missing", [&] { load_without(field); });
  }
  expect_bad({{"num_key_value_heads", 3}}, "num_key_value_heads is 3; expected a divisor of num_attention_heads, 8");
  expect_bad({{"num_key_value_heads", 16}}, "num_key_value_heads");
  expect_bad({{"head_dim", 63}}, "expected an even number");
  expect_bad({{"head_dim", 0}}, "head_dim");
  expect_bad({{"hidden_size", 513}}, "no multiple of num_attention_heads");
  expect_bad({{"max_position_embeddings", 0}}, "max_position_embeddings");
  expect_bad({{"rms_norm_eps", -1}}, "rms_norm_eps");
  for (const json& id : {json("2"), json(1.5), json(true), json::array({2, "x"})}) {
    expect_bad({{"eos_token_id", id}}, "eos_token_id");
  }
  expect_bad({{"rope_theta", 0}}, "rope_theta");
}

TEST_F(ModelConfigTest, WhatIsNotComputedIsRefusedByName) {
  expect_unsupported({{"quantization_config", {{"quant_method", "gptq"}}}}, "quantization_config (quant_method gptq)");
  expect_unsupported({{"hidden_act", "gelu"}}, "hidden_act is \"gelu\"; supported: silu, gelu_pytorch_tanh");
  EXPECT_EQ(load({{"quantization_config", nullptr}}).num_layers, 3);
}

TEST_F(ModelConfigTest, FieldsThatAreNotUsedMayBeAnything) {
  const json junk = {{"torch_dtype", "float8_e4m3fn"},
                     {"tie_word_embeddings", "yes"},
                     {"bos_token_id", -1},
                     {"pad_token_id", "none"},
                     {"partial_rotary_factor", 0.5},  // the architectures' own rope does not look at it
                     {"sliding_window", "none"},
                     {"layer_types", 3},
                     {"max_window_layers", {1, 2}},
                     {"transformers_version", json::object()}};
  EXPECT_EQ(load(junk).ropes[0].describe(), "default theta=500000");
  EXPECT_FALSE(load(junk).sliding_window);
  for (const char* architecture : {"Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
    json changes = junk;
    changes["use_sliding_window"] = false;
    changes["mlp_bias"] = "x";
    EXPECT_FALSE(load_for(architecture, changes).sliding_window) << architecture;
  }
  EXPECT_EQ(biases_of(load_for("Qwen2ForCausalLM", {{"attention_bias", "x"}})), "qkv");
  const ModelConfig mistral = load_for("MistralForCausalLM", {{"attention_bias", "x"}, {"use_sliding_window", 7}});
  EXPECT_EQ(biases_of(mistral), "");
}

TEST_F(ModelConfigTest, PythonsJsonIsRead) {
  std::string config = kLlama.dump();
  config.insert(1, R"("rms_norm_eps":7,"loss":NaN,"best":[Infinity,-Infinity],)");
  EXPECT_EQ(load_text(config).rms_norm_eps, 1e-5);  // of two the last counts
  config.insert(1, R"("rope_scaling":{"type":"linear","factor":NaN},)");
  expect_error(ErrorCategory::kBadFile, "rope_scaling.factor is nan", [&] { load_text(config); });
}

TEST_F(ModelConfigTest, IdsThatAreNoTokensStopNothing) {
  EXPECT_TRUE(load({{"eos_token_id", -1}}).eos_tokens.empty());
  EXPECT_TRUE(load({{"eos_token_id", -1}}).warnings.empty());  // "none"
  const ModelConfig config = load({{"eos_token_id", {2, -1, 1000}}});
  EXPECT_EQ(config.eos_tokens, std::vector<std::int32_t>{2});
  ASSERT_EQ(config.warnings.size(), 1u);
  EXPECT_NE(config.warnings[0].find("config.json: eos_token_id has 1000, but ids go up to 999"), std::string::npos);
}

TEST_F(ModelConfigTest, SlidingWindows) {
  EXPECT_FALSE(load({{"sliding_window", 4096}}).sliding_window);  // Llama has none
  EXPECT_EQ(load_for("MistralForCausalLM", {{"sliding_window", 512}}).sliding_window, 512);
  EXPECT_FALSE(load_for("MistralForCausalLM", {{"sliding_window", nullptr}}).sliding_window);
  EXPECT_EQ(load_for("MistralForCausalLM").sliding_window, 4096);  // the class's default
  const json all_full = {"full_attention", "full_attention", "full_attention"};
  EXPECT_FALSE(load_for("MistralForCausalLM", {{"sliding_window", 512}, {"layer_types", all_full}}).sliding_window);

  const char* const qwen = "Qwen2ForCausalLM";
  EXPECT_FALSE(load_for(qwen, {{"sliding_window", 512}, {"use_sliding_window", false}}).sliding_window);
  EXPECT_FALSE(
      load_for(qwen, {{"sliding_window", 512}, {"use_sliding_window", true}}).sliding_window);  // from layer 28 on
  EXPECT_EQ(
      load_for(qwen, {{"sliding_window", 512}, {"use_sliding_window", true}, {"max_window_layers", 2}}).sliding_window,
      512);
  const json full = {"full_attention", "full_attention", "full_attention"};
  const json mixed = {"full_attention", "sliding_attention", "full_attention"};
  const json on = {{"sliding_window", 512}, {"use_sliding_window", true}, {"max_window_layers", 0}};
  json with = on;
  with["layer_types"] = full;
  EXPECT_FALSE(load_for(qwen, with).sliding_window);
  with["layer_types"] = mixed;
  EXPECT_EQ(load_for(qwen, with).sliding_window, 512);
  with["layer_types"] = {"full_attention", "chunked_attention", "full_attention"};
  expect_error(ErrorCategory::kUnsupported, "layer_types has \"chunked_attention\"", [&] { load_for(qwen, with); });
  with["layer_types"] = {"full_attention"};
  expect_error(ErrorCategory::kBadFile, "layer_types", [&] { load_for(qwen, with); });
}

TEST_F(ModelConfigTest, RopeScalingInBothStyles) {
  const json llama3 = {{"factor", 8.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 4096},
                       {"rope_type", "llama3"}};
  const RopeConfig old_style = load({{"rope_scaling", llama3}}).ropes[0];
  EXPECT_EQ(old_style.scaling, RopeScaling::kLlama3);
  EXPECT_EQ(old_style.describe(),
            "llama3 factor=8 low_freq_factor=1 high_freq_factor=4 original_max_position=4096 theta=500000");
  json parameters = llama3;
  parameters["rope_theta"] = 500000.0;
  json config = kLlama;
  config.erase("rope_theta");
  config["rope_parameters"] = parameters;
  EXPECT_EQ(load_text(config.dump()).ropes[0].describe(), old_style.describe());

  const RopeConfig linear = load({{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}}).ropes[0];
  EXPECT_EQ(linear.scaling, RopeScaling::kLinear);
  EXPECT_EQ(linear.describe(), "linear factor=2 theta=500000");
  EXPECT_EQ(load({{"rope_scaling", {{"rope_type", "default"}}}}).ropes[0].describe(), "default theta=500000");
  EXPECT_EQ(load({{"rope_scaling", nullptr}}).ropes[0].scaling, RopeScaling::kNone);
  EXPECT_EQ(load({{"rope_parameters", {{"rope_theta", 4000000}, {"rope_type", "default"}}}}).ropes[0].theta, 4000000);
}

TEST_F(ModelConfigTest, Yarn) {
  const RopeConfig yarn =
      load({{"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 2048}}}})
          .ropes[0];
  EXPECT_EQ(yarn.scaling, RopeScaling::kYarn);
  EXPECT_EQ(yarn.factor, 4);
  EXPECT_EQ(yarn.original_max_position, 2048);
  EXPECT_EQ(yarn.beta_fast, 32);
  EXPECT_EQ(yarn.beta_slow, 1);
  EXPECT_TRUE(yarn.truncate);
  EXPECT_FALSE(yarn.attention_factor || yarn.mscale || yarn.mscale_all_dim);

  const RopeConfig tuned = load({{"rope_scaling",
                                  {{"rope_type", "yarn"},
                                   {"factor", nullptr},
                                   {"original_max_position_embeddings", 2048},
                                   {"beta_fast", 16},
                                   {"beta_slow", 0},
                                   {"attention_factor", 1.5},
                                   {"mscale", 0.7},
                                   {"mscale_all_dim", 0},
                                   {"truncate", false}}}})
                               .ropes[0];
  EXPECT_EQ(tuned.factor, 4);  // 8192 / 2048
  EXPECT_EQ(tuned.beta_fast, 16);
  EXPECT_EQ(tuned.beta_slow, 1);  // 0 is "not given"
  EXPECT_EQ(tuned.attention_factor, 1.5);
  EXPECT_EQ(tuned.mscale, 0.7);
  EXPECT_FALSE(tuned.mscale_all_dim);
  EXPECT_FALSE(tuned.truncate);
  EXPECT_NE(tuned.describe(), yarn.describe());
  // Without its own, the context that it was trained with is the model's.
  EXPECT_EQ(load({{"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}}}}).ropes[0].original_max_position, 8192);
}

TEST_F(ModelConfigTest, TheContextIsWhatYarnReaches) {
  const auto longest = [&](json rope, json changes = json::object()) {
    changes["rope_scaling"] = std::move(rope);
    return load(changes).max_position;
  };
  const json yarn = {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 2048}};
  EXPECT_EQ(longest(yarn, {{"max_position_embeddings", 2048}}), 8192);  // as Qwen's documentation adds it
  EXPECT_EQ(longest(yarn, {{"max_position_embeddings", 8192}}), 8192);
  EXPECT_EQ(longest(yarn, {{"max_position_embeddings", 2560}}), 8192);
  // Beside the object it counts before the one inside, and without any the model's own length is scaled.
  EXPECT_EQ(longest(yarn, {{"original_max_position_embeddings", 4096}}), 16384);
  EXPECT_EQ(longest({{"type", "yarn"}, {"factor", 2.5}}), 20480);
  EXPECT_EQ(longest({{"type", "yarn"}, {"factor", nullptr}, {"original_max_position_embeddings", 1000}}), 8192);
  EXPECT_EQ(longest({{"type", "yarn"}, {"factor", 1e6}, {"original_max_position_embeddings", 1000000000}}),
            std::int64_t{1} << 31);
  json parameters = yarn;
  parameters["rope_theta"] = 1e6;
  EXPECT_EQ(load({{"rope_parameters", parameters}, {"max_position_embeddings", 2048}}).max_position, 8192);
  // The others say with max_position_embeddings how far they were trained.
  EXPECT_EQ(longest({{"type", "linear"}, {"factor", 4.0}}), 8192);
  EXPECT_EQ(longest({{"rope_type", "llama3"},
                     {"factor", 8.0},
                     {"low_freq_factor", 1.0},
                     {"high_freq_factor", 4.0},
                     {"original_max_position_embeddings", 512}}),
            8192);
}

TEST_F(ModelConfigTest, WhatPythonTakesForFalseIsNoScaling) {
  for (const json& nothing : {json(nullptr), json(false), json(0), json(""), json::array(), json::object()}) {
    const json linear = {{"rope_type", "linear"}, {"factor", 2}};
    EXPECT_EQ(load({{"rope_scaling", nothing}}).ropes[0].scaling, RopeScaling::kNone) << nothing;
    EXPECT_EQ(load({{"rope_scaling", nothing}, {"rope_parameters", linear}}).ropes[0].scaling, RopeScaling::kLinear);
  }
}

TEST_F(ModelConfigTest, OtherRopeScalingIsRefusedByName) {
  for (const char* type : {"dynamic", "longrope", "su", "mrope", "proportional"}) {
    expect_unsupported({{"rope_scaling", {{"type", type}, {"factor", 2}}}},
                       std::string("type is \"") + type + "\"; supported: default, linear, llama3, yarn");
  }
  expect_unsupported({{"rope_parameters", {{"full_attention", {{"rope_theta", 1e4}}}}}},
                     "rope_parameters.full_attention");
  expect_unsupported({{"rope_parameters", {{"rope_type", "linear"}, {"factor", 2}, {"partial_rotary_factor", 0.25}}}},
                     "rope_parameters.partial_rotary_factor is 0.25");
  expect_unsupported({{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}, {"partial_rotary_factor", 0.5}},
                     "config.json: partial_rotary_factor is 0.5");
  expect_bad({{"rope_scaling", 3}}, "rope_scaling");
  expect_bad({{"rope_scaling", {{"type", "linear"}}}}, "rope_scaling.factor is missing");
  expect_bad({{"rope_scaling", {{"type", "linear"}, {"factor", 0.5}}}}, "rope_scaling.factor is 0.5");
  expect_bad({{"rope_scaling", {{"type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}}},
             "high_freq_factor");
  expect_bad({{"rope_scaling", {{"type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 0}}}},
             "original_max_position_embeddings");
}

TEST_F(ModelConfigTest, GenerationConfigAddsStopTokens) {
  write_file(folder_.file("generation_config.json"), R"({"eos_token_id":[2,7,9],"bos_token_id":-1,"top_p":NaN})");
  const ModelConfig config = load();
  EXPECT_EQ(config.eos_tokens, (std::vector<std::int32_t>{2, 7, 9}));
  EXPECT_TRUE(config.warnings.empty());
}

TEST_F(ModelConfigTest, ABrokenGenerationConfigIsAWarning) {
  for (const char* broken : {"{", "[]", "", R"({"eos_token_id":"two"})", R"({"eos_token_id":[7,"two"]})",
                             "version https://git-lfs.github.com/spec/v1\n"}) {
    write_file(folder_.file("generation_config.json"), broken);
    const ModelConfig config = load();
    EXPECT_EQ(config.eos_tokens, std::vector<std::int32_t>{2}) << broken;
    ASSERT_EQ(config.warnings.size(), 1u) << broken;
    EXPECT_NE(config.warnings[0].find("generation_config.json"), std::string::npos) << config.warnings[0];
  }
  std::filesystem::remove(folder_.file("generation_config.json"));
  std::filesystem::create_symlink("../../blobs/0", folder_.file("generation_config.json"));
  EXPECT_EQ(load().warnings.size(), 1u);
}

TEST_F(ModelConfigTest, BrokenFilesAreNamed) {
  expect_error(ErrorCategory::kIo, "/nowhere: no such folder", [&] { ModelConfig::load("/nowhere"); });
  expect_error(ErrorCategory::kBadFile, "config.json: not valid JSON", [&] { load_text("{"); });
  expect_error(ErrorCategory::kBadFile, "expected a JSON object", [&] { load_text("[]"); });
  expect_error(ErrorCategory::kBadFile, "model_type is missing", [&] { load_text("{}"); });
}

TEST_F(ModelConfigTest, TheDefaultModelIsRead) {
  const ModelConfig config = ModelConfig::load(std::string(TCA_SOURCE_DIR) + "/models/lookback-28m");
  EXPECT_EQ(config.architecture, "Qwen3ForCausalLM");
  EXPECT_EQ(config.num_layers, 8);
  EXPECT_EQ(config.num_kv_heads, 4);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.max_position, 131072);
  EXPECT_EQ(config.ropes[0].describe(), "default theta=4000000");
  EXPECT_EQ(config.eos_tokens, (std::vector<std::int32_t>{2, 0}));
  EXPECT_FALSE(config.sliding_window);
}

}  // namespace
}  // namespace tca::runtime
