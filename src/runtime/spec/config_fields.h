// What the config.json of most architectures have in common, as Transformers reads it.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/spec/model_spec.h"

namespace tca::runtime {

/// An object like config.json's, and what errors call it.
struct ConfigFields {
  const nlohmann::json& json;
  const std::string& where;
};

/// What the architecture's configuration class in Transformers has where the file says nothing.
struct ShapeDefaults {
  std::optional<std::int32_t> kv_heads = {};  // nothing: as many as heads
  std::optional<std::int32_t> head_dim = {};  // nothing: hidden_size / num_attention_heads
  std::int64_t max_position = 2048;
  double rms_norm_eps = 1e-6;
};
/// Sizes, epsilon and ties of the model; throws what config.json is refused for.
void read_shape(const ConfigFields& config, const ShapeDefaults& defaults, ModelSpec& model);

/// What an architecture's rotary embedding is where the file says nothing, and what the file may say.
struct RopeDefaults {
  double theta = 10000;
  double share = 1;          // as RopeConfig's
  bool takes_share = false;  // partial_rotary_factor is read, whatever the scaling
  bool interleaved = false;
  bool longrope = false;  // may be asked for
};
/// Reads rope_theta with rope_scaling (Transformers 4) or rope_parameters (Transformers 5). Throws tca::Error naming
/// what is broken or not supported.
RopeConfig read_rope(const ConfigFields& config, const RopeDefaults& defaults, std::int64_t max_position,
                     std::int32_t head_dim);
/// The model's one rotary embedding, and how far it reaches.
void read_model_rope(const ConfigFields& config, const RopeDefaults& defaults, ModelSpec& model);

Activation read_activation(const ConfigFields& config, const char* field, const char* usual);

/// false when it is missing or null.
bool read_flag(const ConfigFields& config, const char* field);
/// A number above 0; `usual` when it is missing or null.
double read_positive(const ConfigFields& config, const char* field, double usual);

/// sliding_window, which may be null; `usual` when it is missing.
std::optional<std::int64_t> read_window(const ConfigFields& config, std::optional<std::int64_t> usual);

/// Which layers slide by layer_types; nothing when it is not there.
std::optional<std::vector<bool>> sliding_layers(const ConfigFields& config, const ModelSpec& model);
/// Layers that slide by layer_types, or else by `slides`, see so many tokens.
void set_window(const ConfigFields& config, std::optional<std::int64_t> window,
                const std::function<bool(std::int32_t)>& slides, ModelSpec& model);

struct PlainBiases {
  bool qkv = false, out = false, mlp = false;
};
/// Layers as Llama's, with its names: norms before, separate projections, an MLP by hidden_act. Architectures change
/// what is theirs. Sets final_norm, too.
void add_plain_layers(const ConfigFields& config, const PlainBiases& biases, ModelSpec& model);
/// Norm weights are stored less 1.
void offset_norms(ModelSpec& model);
/// Norms of every head of q and k.
void add_head_norms(ModelSpec& model);
/// gate and up are rows of one tensor, gate_up_proj.
void fuse_gate_and_up(ModelSpec& model);

}  // namespace tca::runtime
