// Reads safetensors checkpoints, single or sharded, by memory map. The files are untrusted: every size and offset is
// checked.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tca/tensor.h"

namespace tca {
class MappedFile;  // core/file.h
}

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
  /// Throws kBadFile naming the tensor when it is missing or its shape is another one, kUnsupported when it is stored
  /// in a type other than bf16, fp16 and fp32 (has and tensors leave those out).
  const StoredTensor& get(const std::string& name, const std::vector<std::int64_t>& shape) const;
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  /// SHA-256 (hex) of the index file, or of the single file's header (the JSON text).
  const std::string& fingerprint() const { return fingerprint_; }
  std::size_t total_bytes() const;
  /// Its memory is not needed for now: what the file maps is given back, and read again if somebody looks.
  void drop_pages(const StoredTensor& tensor) const;

 private:
  /// Maps a file and takes its tensors, of which `expected` must be there. Returns the header's text.
  std::string_view add_file(const std::string& path, const std::vector<std::string>* expected);
  const void* aligned(const std::byte* data, std::size_t bytes, DType dtype);

  std::map<std::string, StoredTensor> tensors_;
  std::map<std::string, std::string> other_dtypes_;  // tensors that are not read: name and dtype
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::vector<std::shared_ptr<const std::byte[]>> copies_;  // of what is not aligned in them
  std::string fingerprint_;
};

}  // namespace tca::runtime
