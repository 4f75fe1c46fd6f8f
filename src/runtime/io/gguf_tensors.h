// The tensors of a GGUF file under the names, and in the order of rows, that the checkpoint has.
#pragma once

#include <string>

#include "runtime/io/tensor_source.h"

namespace tca::runtime {

class GgufTensors final : public TensorSource {
 public:
  /// path as find_gguf gives it.
  explicit GgufTensors(const std::string& path);

 private:
  const char* supported_types() const override;
};

/// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; a name without a counterpart stays as it is.
std::string checkpoint_name(const std::string& gguf_name);

}  // namespace tca::runtime
