// The configuration of the supported architectures: Llama 2/3/3.1/3.2, Mistral, Qwen2/2.5, Qwen3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tca::runtime {

enum class RopeScaling { kNone, kLinear, kLlama3, kYarn, kFactors };

struct RopeConfig {
  RopeScaling scaling = RopeScaling::kNone;
  double theta = 10000;
  double factor = 1;
  // llama3
  double low_freq_factor = 1, high_freq_factor = 4;
  // llama3, yarn
  double original_max_position = 0;
  // yarn
  double beta_fast = 32, beta_slow = 1;
  std::optional<double> attention_factor = {}, mscale = {}, mscale_all_dim = {};
  bool truncate = true;
  // factors: what each frequency is divided by, [head_dim / 2]
  std::vector<double> factors = {};
  std::string describe() const;  // for fingerprints
  /// Tokens that yarn stretches the context to: the length it was trained with times the factor. Nothing for others.
  std::optional<std::int64_t> reach() const;
};

struct ModelConfig {
  std::string architecture;  // "LlamaForCausalLM" | "MistralForCausalLM" | "Qwen2ForCausalLM" | "Qwen3ForCausalLM"
  std::int32_t hidden_size = 0, num_layers = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
  std::int32_t intermediate_size = 0, vocab_size = 0;
  std::int64_t max_position = 0;  // longest context: max_position_embeddings, or what the rope's scaling reaches
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;  // what the file says; what is stored decides (find_embeddings)
  bool qkv_bias = false;             // Qwen2; Llama with attention_bias (then o_proj has one too)
  bool out_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;                        // Qwen3
  std::optional<std::int64_t> sliding_window;  // contexts longer than this are refused by name
  RopeConfig rope;
  std::vector<std::int32_t> eos_tokens;  // config.json and generation_config.json together
  /// What is odd about the model's files although it can be used, for whoever loads it to show to people.
  std::vector<std::string> warnings = {};

  /// Reads the folder's config.json (and generation_config.json), or the metadata of a GGUF file or the folder of one.
  /// Throws tca::Error naming file, field, value and what is supported.
  static ModelConfig load(const std::string& path);
};

}  // namespace tca::runtime
