// Reads safetensors checkpoints, single or sharded, by memory map. The files are untrusted: every size and offset is
// checked.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/io/tensor_source.h"

namespace tca::runtime {

class Checkpoint final : public TensorSource {
 public:
  /// dir holds model.safetensors, or model.safetensors.index.json and its shards. Of a tensor that several shards hold
  /// the last one's is taken, and a base model's names get the "model." that a model with a head has: as Transformers
  /// reads them. Throws tca::Error naming file, tensor and value.
  static Checkpoint open(const std::string& dir);

 private:
  std::string why_missing(const std::string& name) const override;
  const char* supported_types() const override { return "BF16, F16, F32"; }
  void open_shards(const std::string& dir, const std::string& index);
  /// Maps a file and takes its tensors. Returns the header's text.
  std::string_view add_file(const std::string& path);
  void add_base_prefix();
  const void* aligned(const std::byte* data, std::size_t bytes, DType dtype);

  std::map<std::string, std::string> shards_;               // the file that the index names for a tensor
  std::vector<std::shared_ptr<const std::byte[]>> copies_;  // of what is not aligned in the files
};

}  // namespace tca::runtime
