// What the architectures make of their files; that it is right, tests/python/test_model_logits.py says.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/expect_error.h"
#include "runtime/spec/architecture.h"

namespace tca::runtime {
namespace {

using nlohmann::json;
using testing::expect_error;

const json kFields = {{"hidden_size", 64},        {"num_hidden_layers", 4}, {"num_attention_heads", 4},
                      {"num_key_value_heads", 2}, {"head_dim", 16},         {"intermediate_size", 96},
                      {"vocab_size", 100},        {"rope_theta", 10000.0},  {"max_position_embeddings", 4096}};

ModelSpec describe(const char* architecture, const json& changes = json::object()) {
  json config = kFields;
  config["architectures"] = {architecture};
  config.update(changes);
  return describe_model(config, "config.json");
}

void expect_refused(ErrorCategory category, const std::string& part, const char* architecture, const json& changes) {
  expect_error(category, part, [&] { describe(architecture, changes); });
}

std::vector<std::int32_t> ropes_of(const ModelSpec& model) {
  std::vector<std::int32_t> ropes;
  for (const LayerSpec& layer : model.layers) ropes.push_back(layer.rope);
  return ropes;
}

TEST(Architectures, SmolLM3LeavesRopeOut) {
  const ModelSpec usual = describe("SmolLM3ForCausalLM");
  EXPECT_EQ(ropes_of(usual), (std::vector<std::int32_t>{0, 0, 0, 1}));
  EXPECT_EQ(usual.describe_ropes(), "default theta=10000; none");
  EXPECT_EQ(ropes_of(describe("SmolLM3ForCausalLM", {{"no_rope_layer_interval", 2}})),
            (std::vector<std::int32_t>{0, 1, 0, 1}));
  EXPECT_EQ(ropes_of(describe("SmolLM3ForCausalLM", {{"no_rope_layers", {0, 1, 1, 0}}})),
            (std::vector<std::int32_t>{1, 0, 0, 1}));
  expect_refused(ErrorCategory::kBadFile,
                 "no_rope_layers is an array of 1; expected an array with a 0 or 1 for each of 4 layers",
                 "SmolLM3ForCausalLM", {{"no_rope_layers", {1}}});
}

TEST(Architectures, Olmo2NormsWhatIsAdded) {
  const LayerSpec layer = describe("Olmo2ForCausalLM").layers[3];
  EXPECT_FALSE(layer.attention_norm.exists() || layer.mlp_norm.exists());
  EXPECT_EQ(layer.attention_out_norm.name, "model.layers.3.post_attention_layernorm.weight");
  EXPECT_EQ(layer.mlp_out_norm.name, "model.layers.3.post_feedforward_layernorm.weight");
  EXPECT_EQ(layer.q_norm.size, 64);
  EXPECT_EQ(layer.k_norm.size, 32);
  EXPECT_TRUE(layer.norms_heads_as_one());
}

TEST(Architectures, Phi3HasRowsOfFusedTensors) {
  const LayerSpec layer = describe("Phi3ForCausalLM").layers[1];
  for (const MatrixSpec* part : {&layer.q, &layer.k, &layer.v}) {
    EXPECT_EQ(part->name, "model.layers.1.self_attn.qkv_proj");
    EXPECT_EQ(part->rows(), 128);
  }
  EXPECT_EQ(layer.k.first_row, 64);
  EXPECT_EQ(layer.v.first_row, 96);
  EXPECT_EQ(layer.mlp.up.name, "model.layers.1.mlp.gate_up_proj");
  EXPECT_EQ(layer.mlp.up.first_row, 96);
  EXPECT_EQ(layer.mlp.up.rows(), 192);
}

TEST(Architectures, LongRopeOfPhi3) {
  json rope = {{"type", "longrope"}, {"short_factor", json::array()}, {"long_factor", json::array()}};
  for (int i = 0; i < 8; ++i) {
    rope["short_factor"].push_back(1.0 + i);
    rope["long_factor"].push_back(2.0 + i);
  }
  const json changes = {{"rope_scaling", rope}, {"original_max_position_embeddings", 1024}};
  const ModelSpec model = describe("Phi3ForCausalLM", changes);
  EXPECT_EQ(model.short_context(), 1024);
  EXPECT_EQ(model.ropes[0].factor, 4);
  EXPECT_EQ(model.ropes[0].long_factors[7], 9);
  EXPECT_FALSE(describe("Phi3ForCausalLM").short_context());
  json other = changes;
  other["rope_scaling"]["long_factor"][0] = 2.5;
  EXPECT_NE(describe("Phi3ForCausalLM", other).describe_ropes(), model.describe_ropes());
  other["rope_scaling"]["long_factor"] = {1, 2};
  expect_refused(ErrorCategory::kBadFile, "rope_scaling.long_factor is an array of 2; expected an array of 8 numbers",
                 "Phi3ForCausalLM", other);
  expect_refused(ErrorCategory::kUnsupported, "type is \"longrope\"; supported: default, linear, llama3, yarn",
                 "LlamaForCausalLM", changes);
}

TEST(Architectures, GraniteScales) {
  const ModelSpec model = describe("GraniteForCausalLM", {{"embedding_multiplier", 12},
                                                          {"residual_multiplier", 0.22},
                                                          {"attention_multiplier", 0.5},
                                                          {"logits_scaling", 8}});
  EXPECT_EQ(model.embedding_scale, 12);
  EXPECT_EQ(model.residual_scale, 0.22);
  EXPECT_EQ(model.query_scale, 2);
  EXPECT_EQ(model.final_norm.factor, 0.125);
  EXPECT_TRUE(model.has_branches());
  expect_refused(ErrorCategory::kBadFile, "logits_scaling is 0", "GraniteForCausalLM", {{"logits_scaling", 0}});
}

TEST(Architectures, GlmTurnsHalfOfAHeadInNeighbouringPairs) {
  const ModelSpec glm = describe("GlmForCausalLM");
  EXPECT_EQ(glm.layers[0].q.head_order,
            (std::vector<std::int32_t>{0, 2, 4, 6, 8, 9, 10, 11, 1, 3, 5, 7, 12, 13, 14, 15}));
  EXPECT_EQ(glm.layers[0].k.head_order, glm.layers[0].q.head_order);
  EXPECT_TRUE(glm.layers[0].v.head_order.empty());
  EXPECT_TRUE(glm.layers[0].q.bias && !glm.layers[0].o.bias);
  EXPECT_EQ(glm.describe_ropes(), "default partial_rotary_factor=0.5 interleaved theta=10000");
  EXPECT_FALSE(glm.layers[0].mlp_out_norm.exists());
  EXPECT_EQ(describe("Glm4ForCausalLM").layers[2].mlp_out_norm.name, "model.layers.2.post_mlp_layernorm.weight");
  expect_refused(ErrorCategory::kUnsupported, "partial_rotary_factor is 0.2: of a head's 16 dimensions 3 would turn",
                 "GlmForCausalLM", {{"partial_rotary_factor", 0.2}});
}

TEST(Architectures, AWholeHeadOfHalvesKeepsItsOrder) {
  EXPECT_TRUE(describe("LlamaForCausalLM").layers[0].q.head_order.empty());
  EXPECT_EQ(describe("Phi3ForCausalLM", {{"partial_rotary_factor", 0.75}}).layers[0].q.head_order,
            (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 12, 13, 6, 7, 8, 9, 10, 11, 14, 15}));
}

TEST(Architectures, Gemma3HasWindowsWithARopeOfTheirOwn) {
  const json small = {{"sliding_window", 12}, {"query_pre_attn_scalar", 64}, {"sliding_window_pattern", 3}};
  const ModelSpec model = describe("Gemma3ForCausalLM", small);
  EXPECT_EQ(ropes_of(model), (std::vector<std::int32_t>{1, 1, 0, 1}));
  EXPECT_EQ(model.layers[0].window, 12);
  EXPECT_FALSE(model.layers[2].window);
  EXPECT_EQ(model.sliding_window, 12);
  EXPECT_EQ(model.describe_ropes(), "default theta=10000; default theta=10000");
  EXPECT_EQ(model.embedding_scale, 8);
  EXPECT_EQ(model.query_scale, 0.5);
  EXPECT_EQ(model.layers[1].activation, Activation::kGeluTanh);
  EXPECT_EQ(model.layers[1].mlp_norm.name, "model.layers.1.pre_feedforward_layernorm.weight");
  EXPECT_EQ(model.layers[1].k_norm.offset, 1);
  EXPECT_EQ(model.final_norm.offset, 1);

  json by_kind = small;
  by_kind["rope_parameters"] = {{"full_attention", {{"rope_type", "linear"}, {"factor", 8}, {"rope_theta", 1e6}}},
                                {"sliding_attention", {{"rope_type", "default"}}}};
  EXPECT_EQ(describe("Gemma3ForCausalLM", by_kind).describe_ropes(),
            "linear factor=8 theta=1000000; default theta=10000");
  json capped = small;
  capped["final_logit_softcapping"] = 30;
  expect_refused(ErrorCategory::kUnsupported, "final_logit_softcapping is given", "Gemma3ForCausalLM", capped);
  expect_refused(ErrorCategory::kUnsupported, "\"Gemma2ForCausalLM\", which has attention with soft caps",
                 "Gemma2ForCausalLM", json::object());
}

TEST(Architectures, ExpertsOfMixtralAndQwen3) {
  const ModelSpec mixtral = describe("MixtralForCausalLM", {{"num_local_experts", 5}, {"num_experts_per_tok", 3}});
  ASSERT_TRUE(mixtral.layers[3].experts);
  const ExpertsSpec& experts = *mixtral.layers[3].experts;
  EXPECT_EQ(experts.router.name, "model.layers.3.block_sparse_moe.gate");
  EXPECT_EQ(experts.chosen, 3);
  EXPECT_TRUE(experts.renormalise);
  ASSERT_EQ(experts.experts.size(), 5u);
  EXPECT_EQ(experts.experts[4].up.name, "model.layers.3.block_sparse_moe.experts.4.w3");
  EXPECT_EQ(mixtral.widest_mlp(), 0);
  EXPECT_EQ(mixtral.mean_inner(), 3 * 96);

  const ModelSpec qwen = describe("Qwen3MoeForCausalLM", {{"num_experts", 6},
                                                          {"num_experts_per_tok", 2},
                                                          {"moe_intermediate_size", 24},
                                                          {"mlp_only_layers", {0}},
                                                          {"decoder_sparse_step", 2}});
  EXPECT_FALSE(qwen.layers[0].experts || qwen.layers[2].experts);
  ASSERT_TRUE(qwen.layers[1].experts && qwen.layers[3].experts);
  EXPECT_FALSE(qwen.layers[1].experts->renormalise);
  EXPECT_EQ(qwen.layers[1].experts->experts[5].down.name, "model.layers.1.mlp.experts.5.down_proj");
  EXPECT_EQ(qwen.layers[1].experts->experts[5].down.in, 24);
  EXPECT_EQ(qwen.widest_mlp(), 96);
  EXPECT_EQ(qwen.mean_inner(), (2 * 96 + 2 * 48) / 4);
  expect_refused(ErrorCategory::kBadFile, "num_experts_per_tok", "MixtralForCausalLM",
                 {{"num_local_experts", 4}, {"num_experts_per_tok", 5}});
}

}  // namespace
}  // namespace tca::runtime
