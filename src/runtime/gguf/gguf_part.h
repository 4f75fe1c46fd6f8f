// One GGUF file, mapped: its metadata and its tensors.
#pragma once

#include <string>

#include "runtime/gguf/gguf_file.h"

namespace tca::runtime {

/// Throws tca::Error naming file, tensor or key, and value.
GgufPart open_gguf_part(const std::string& path);

}  // namespace tca::runtime
