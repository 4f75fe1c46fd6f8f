#include "runtime/io/gguf_tensors.h"

#include <string_view>

#include "core/check.h"
#include "core/quote.h"
#include "runtime/gguf/gguf_config.h"
#include "runtime/gguf/gguf_file.h"

namespace tca::runtime {
namespace {

struct Name {
  std::string_view gguf, checkpoint;
};
constexpr Name kModelNames[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
};
constexpr Name kLayerNames[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr std::string_view kLayer = "blk.";

template <std::size_t kCount>
std::string_view renamed(std::string_view name, const Name (&names)[kCount]) {
  for (const Name& known : names) {
    if (name == known.gguf) return known.checkpoint;
  }
  return {};
}

bool is_rotated(std::string_view gguf_name) {
  for (const std::string_view matrix : {".attn_q.", ".attn_k."}) {
    if (gguf_name.starts_with(kLayer) && gguf_name.find(matrix) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

std::string checkpoint_name(const std::string& gguf_name) {
  const std::string_view name = gguf_name;
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return gguf_name;
  const std::string_view kind = name.substr(dot);  // ".weight", ".bias"
  if (!name.starts_with(kLayer)) {
    const std::string_view known = renamed(name.substr(0, dot), kModelNames);
    return known.empty() ? gguf_name : text(known, kind);
  }
  const std::size_t end = name.find('.', kLayer.size());
  if (end >= dot) return gguf_name;
  const std::string_view known = renamed(name.substr(end + 1, dot - end - 1), kLayerNames);
  return known.empty() ? gguf_name
                       : text("model.layers.", name.substr(kLayer.size(), end - kLayer.size()), ".", known, kind);
}

GgufTensors::GgufTensors(const std::string& path) {
  const GgufFile file = GgufFile::open(path);
  const bool paired = has_paired_rows(file);
  const std::int64_t head_dim = paired ? (*gguf_config(file))["head_dim"].get<std::int64_t>() : 0;
  for (const GgufPart& part : file.parts()) {
    files_.push_back(part.map);
    for (const GgufTensor& tensor : part.tensors) {
      const std::string name = checkpoint_name(tensor.name);
      if (tensor.data == nullptr) {
        other_types_[name] = tensor.type;
        continue;
      }
      StoredTensor stored{tensor.data, tensor.dtype, tensor.shape, tensor.blocks, 0};
      if (paired && is_rotated(tensor.name)) {
        const bool whole =
            head_dim >= 2 && head_dim % 2 == 0 && !tensor.shape.empty() && tensor.shape[0] % head_dim == 0;
        const bool known = tensor.shape.size() == 2 || (tensor.shape.size() == 1 && tensor.blocks == nullptr);
        if (!whole || !known) {
          fail(ErrorCategory::kBadFile, text(path, ": tensor ", quoted_name(tensor.name), " has shape ",
                                             shape_text(tensor.shape), ", no multiple of heads of ", head_dim));
        }
        stored.paired_rows = head_dim;
      }
      tensors_.emplace(name, std::move(stored));
    }
  }
  fingerprint_ = file.fingerprint();
}

const char* GgufTensors::supported_types() const {
  return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K to Q6_K, IQ4_NL, IQ4_XS, MXFP4";
}

}  // namespace tca::runtime
