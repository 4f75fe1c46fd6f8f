// One safetensors file, mapped: its header checked, its tensors found. The file is untrusted.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "tca/tensor.h"

namespace tca::runtime {

struct SafetensorsEntry {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0, end = 0;  // in the file's data
};

struct SafetensorsFile {
  std::shared_ptr<const MappedFile> map;
  std::string_view header;  // JSON text, inside the map
  std::vector<SafetensorsEntry> entries;
  const std::byte* data() const { return reinterpret_cast<const std::byte*>(header.data()) + header.size(); }
};

/// Throws tca::Error naming file, tensor and value.
SafetensorsFile open_safetensors(const std::string& path);

/// The runtime's type for a name in a header; nothing when it does not compute with that.
std::optional<DType> safetensors_dtype(const std::string& name);

}  // namespace tca::runtime
