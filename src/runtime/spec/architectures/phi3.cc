// Phi-3, 3.5 and Phi-4: q, k and v are one tensor, and so are gate and up; longrope.
#include "core/check.h"
#include "runtime/spec/config_fields.h"

namespace tca::runtime {

void describe_phi3(const ConfigFields& config, ModelSpec& model) {
  read_shape(config, {.max_position = 4096, .rms_norm_eps = 1e-5}, model);
  add_plain_layers(config, {}, model);
  fuse_gate_and_up(model);
  for (std::int32_t index = 0; index < model.num_layers; ++index) {
    LayerSpec& spec = model.layers[static_cast<std::size_t>(index)];
    const std::string name = text("model.layers.", index, ".self_attn.qkv_proj");
    std::int64_t row = 0;
    for (MatrixSpec* part : {&spec.q, &spec.k, &spec.v}) {
      part->name = name;
      part->first_row = row;
      part->stored_rows = model.q_width() + 2 * model.kv_width();
      row += part->out;
    }
  }
  read_model_rope(config, {.takes_share = true, .longrope = true}, model);
  for (LayerSpec& layer : model.layers) layer.window = read_window(config, std::nullopt);
}

}  // namespace tca::runtime
