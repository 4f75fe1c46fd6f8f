// The metadata of a GGUF file as the config.json that the same model has as a Hugging Face checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "runtime/gguf/gguf_file.h"

namespace tca::runtime {

/// Throws kUnsupported naming an architecture, or something an architecture here may not have; kBadFile naming a key
/// that is missing or wrong.
JsonDocument gguf_config(const GgufFile& file);

/// Rows of attn_q and attn_k lie as rotation of neighbouring pairs wants them, where the checkpoint rotates halves.
bool has_paired_rows(const GgufFile& file);

/// Ids that end an answer: those that the metadata names, and control tokens that end a turn by their text.
std::vector<std::int32_t> gguf_stop_tokens(const Metadata& metadata);

}  // namespace tca::runtime
