// What a model's configuration says: its description (runtime/spec), its stop tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/spec/model_spec.h"

namespace tca::runtime {

/// What the model computes, and what else its files say.
struct ModelConfig : ModelSpec {
  std::vector<std::int32_t> eos_tokens = {};  // config.json and generation_config.json together
  /// What is odd about the model's files although it can be used, for whoever loads it to show to people.
  std::vector<std::string> warnings = {};

  /// Reads the folder's config.json (and generation_config.json) as Transformers does, or the metadata of a GGUF file
  /// or the folder of one. Throws tca::Error naming file, field, value and what is supported.
  static ModelConfig load(const std::string& path);
};

}  // namespace tca::runtime
