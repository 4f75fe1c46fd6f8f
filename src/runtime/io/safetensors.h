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
  std::size_t num_bytes() const { return static_cast<std::size_t>(num_elements()) * dtype_size(dtype); }
};

class Checkpoint {
 public:
  /// dir holds model.safetensors, or model.safetensors.index.json and its shards. Of a tensor that several shards hold
  /// the last one's is taken, and a base model's names get the "model." that a model with a head has: as Transformers
  /// reads them. Throws tca::Error naming file, tensor and value.
  static Checkpoint open(const std::string& dir);

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  /// Throws kBadFile naming the tensor when it is missing or its shape is another one, kUnsupported when it is stored
  /// in a type other than bf16, fp16 and fp32 (has and tensors leave those out).
  const StoredTensor& get(const std::string& name, const std::vector<std::int64_t>& shape) const;
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  /// SHA-256 (hex) of the index file, or of the single file's header (the JSON text).
  const std::string& fingerprint() const { return fingerprint_; }
  /// 16 hex digits that tell weights from others of the same shape, however they are sharded and ordered: a checksum of
  /// every tensor's name, type, shape and values; of large tensors, of samples spread over them.
  std::string content_hash() const;
  /// The type that most bytes are stored in.
  DType main_dtype() const;
  std::size_t total_bytes() const;
  /// Its memory is not needed for now: what the file maps is given back, and read again if somebody looks.
  void drop_pages(const StoredTensor& tensor) const;
  /// What is odd about the files, although they can be read: for people.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  using Names = std::map<std::string, std::string>;

  void open_shards(const std::string& dir, const std::string& index);
  /// Maps a file and takes its tensors. Returns the header's text.
  std::string_view add_file(const std::string& path);
  void add_base_prefix();
  const void* aligned(const std::byte* data, std::size_t bytes, DType dtype);

  std::map<std::string, StoredTensor> tensors_;
  Names other_dtypes_;  // tensors that are not read: name and dtype
  Names shards_;        // the file that the index names for a tensor
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::vector<std::shared_ptr<const std::byte[]>> copies_;  // of what is not aligned in them
  std::string fingerprint_;
  std::vector<std::string> warnings_;
};

/// Which tensors a causal model's two embeddings are. Where one of them is stored it serves both, whatever the
/// configuration says about tying; where both are, each is used (one copy in memory when they are tied and alike).
struct EmbeddingNames {
  std::string input = "model.embed_tokens", output = "lm_head";  // without ".weight"
  bool tied() const { return input == output; }
};
EmbeddingNames find_embeddings(const Checkpoint& checkpoint, bool says_tied);

}  // namespace tca::runtime
