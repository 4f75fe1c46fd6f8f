// Reads safetensors checkpoints, single or sharded, by memory map. The files are untrusted: every size and offset is
// checked.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tca/tensor.h"

namespace tca::runtime {

/// One tensor inside a mapped file; valid as long as the Checkpoint lives.
struct StoredTensor {
  const void* data = nullptr;
  DType dtype = DType::kBF16;
  std::vector<std::int64_t> shape;
  std::int64_t num_elements() const;
};

class Checkpoint {
 public:
  /// dir holds model.safetensors, or model.safetensors.index.json and its shards. Throws tca::Error naming file, tensor
  /// and value.
  static Checkpoint open(const std::string& dir);

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  /// Throws kBadFile naming the tensor when it is missing or its shape is another one.
  const StoredTensor& get(const std::string& name, const std::vector<std::int64_t>& shape) const;
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  /// SHA-256 (hex) of the index file, or of the single file's header bytes.
  const std::string& fingerprint() const { return fingerprint_; }
  std::size_t total_bytes() const;

 private:
  std::map<std::string, StoredTensor> tensors_;
  std::vector<std::shared_ptr<const void>> maps_;
  std::string fingerprint_;
};

}  // namespace tca::runtime
