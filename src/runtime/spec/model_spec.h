// What a model computes, layer by layer, and which tensors of its checkpoint it computes with. Architectures
// (architectures/) make it out of config.json; forward passes read it and know no architecture.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/spec/rope_config.h"

namespace tca::runtime {

/// A matrix [out, in] of the checkpoint: a whole tensor, or rows of one that holds several below each other.
struct MatrixSpec {
  std::string name;  // without ".weight" and ".bias"
  std::int64_t in = 0, out = 0;
  bool bias = false;                          // cut like the matrix
  std::int64_t first_row = 0;                 // of the stored tensor
  std::int64_t stored_rows = 0;               // of the stored tensor; 0: out
  std::vector<std::int32_t> head_order = {};  // rows of every head are taken in this order; empty: as they are
  std::int64_t rows() const { return stored_rows == 0 ? out : stored_rows; }
};

/// x / rms(x) * factor * (offset + w). Without a name there is no norm.
struct NormSpec {
  std::string name;  // with ".weight"
  std::int64_t size = 0;
  double offset = 0, factor = 1;
  std::vector<std::int32_t> head_order = {};  // as a matrix's rows
  bool exists() const { return !name.empty(); }
};

enum class Activation { kSilu, kGeluTanh };

/// down(activation(gate(x)) * up(x))
struct MlpSpec {
  MatrixSpec gate, up, down;
};

/// An MLP of which every token takes a few parts.
struct ExpertsSpec {
  std::int32_t chosen = 0;   // experts of a token: those with the largest logits of the router
  bool renormalise = false;  // their shares of the softmax over all experts are scaled to sum 1
  MatrixSpec router;         // hidden -> experts
  std::vector<MlpSpec> experts;
};

/// x += residual_scale * after(attention(before(x))), and the same of the MLP; `before` and `after` are norms or
/// nothing.
struct LayerSpec {
  NormSpec attention_norm, attention_out_norm;  // before and after attention
  MatrixSpec q, k, v, o;
  std::optional<std::int64_t> window = {};  // tokens that a query sees, itself included; nothing: all
  NormSpec q_norm, k_norm;                  // of every head (size head_dim) or of all heads as one (heads * head_dim)
  std::int32_t rope = 0;                    // which of the model's
  bool norms_heads_as_one() const { return q_norm.size > 0 && q_norm.size == q.out; }
  NormSpec mlp_norm, mlp_out_norm;
  Activation activation = Activation::kSilu;
  MlpSpec mlp;  // not when there are experts
  std::optional<ExpertsSpec> experts;
};

struct ModelSpec {
  std::string architecture;  // as config.json names it: "LlamaForCausalLM"
  std::int32_t hidden_size = 0, num_layers = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
  std::int32_t intermediate_size = 0, vocab_size = 0;
  std::int64_t max_position = 0;  // longest context: max_position_embeddings, or what the rope's scaling reaches
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;            // what the file says; what is stored decides (find_embeddings)
  std::optional<std::int64_t> sliding_window;  // the shortest of the layers'
  std::vector<RopeConfig> ropes = std::vector<RopeConfig>(1);

  double embedding_scale = 1;  // of rows of the embedding
  double residual_scale = 1;   // of what every attention and MLP adds
  double query_scale = 1;      // of queries, beside the 1 / sqrt(head_dim) of scores
  std::vector<LayerSpec> layers;
  NormSpec final_norm;

  std::int64_t q_width() const { return std::int64_t{num_heads} * head_dim; }
  std::int64_t kv_width() const { return std::int64_t{num_kv_heads} * head_dim; }
  /// Widest MLP of layers without experts; 0 where all have some.
  std::int64_t widest_mlp() const;
  /// Whether something happens to what attention or MLP add to x.
  bool has_branches() const;
  /// Intermediate elements that a token takes in a layer's MLP, mean over layers.
  double mean_inner() const;
  /// Longest context of the rotary embedding's short factors; nothing where they do not depend on the context.
  std::optional<std::int64_t> short_context() const;
  /// Whether a context of so many tokens takes the long factors.
  bool is_long_context(std::int64_t tokens) const { return tokens > short_context().value_or(tokens); }
  /// Of the rotary embeddings, for fingerprints.
  std::string describe_ropes() const;
};

}  // namespace tca::runtime
