// GGUF files of versions 2 and 3, little-endian, whole or split into parts, by memory map. The files are untrusted:
// every count, length, offset and type is checked before it is used.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "runtime/gguf/block_format.h"
#include "runtime/gguf/metadata.h"
#include "tca/tensor.h"

namespace tca::runtime {

struct GgufTensor {
  std::string name;
  std::vector<std::int64_t> shape;  // the innermost extent last
  std::string type;                 // "Q4_K"; of one without a known name "type 99"
  /// The values: plain ones of dtype, or blocks. Null when they are of a type that is not read.
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
  DType dtype = DType::kF32;
  const BlockFormat* blocks = nullptr;
};

/// One file.
struct GgufPart {
  std::shared_ptr<const MappedFile> map;
  Metadata metadata;
  std::vector<GgufTensor> tensors;
  std::string_view tensor_infos;  // names, shapes, types and offsets, as stored
};

class GgufFile {
 public:
  /// path: the file, or the first of its parts (name-00001-of-00003.gguf), beside which the others lie. Throws
  /// tca::Error naming file, tensor or key, and value.
  static GgufFile open(const std::string& path);

  const std::string& path() const { return path_; }
  const Metadata& metadata() const { return parts_.front().metadata; }
  const std::vector<GgufPart>& parts() const { return parts_; }
  /// Null when there is none.
  const GgufTensor* find(std::string_view name) const;
  /// SHA-256 (hex) of the names, shapes, types and offsets of all tensors.
  std::string fingerprint() const;

 private:
  std::string path_;
  std::vector<GgufPart> parts_;
};

/// Whether the file at path begins as GGUF files do.
bool is_gguf_file(const std::string& path);

/// The GGUF file that a model's path stands for: the path itself, or in a folder without config.json the only one
/// (of one that is split, its first part). Empty when it is none; throws kInvalidArgument where a folder has several.
std::string find_gguf(const std::string& path);

/// Names of the parts of a split file that lies beside the others: "a-00002-of-00003.gguf" gives all three, any other
/// name itself alone.
std::vector<std::string> part_names(const std::string& path);

}  // namespace tca::runtime
