// Where a model's weights lie: named tensors, mapped from files. Names are those of Hugging Face checkpoints.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/gguf/block_format.h"
#include "tca/tensor.h"

namespace tca {
class MappedFile;  // core/file.h
}

namespace tca::runtime {

/// One tensor inside a mapped file; valid as long as its source lives.
struct StoredTensor {
  const void* data = nullptr;
  DType dtype = DType::kBF16;           // of plain values
  std::vector<std::int64_t> shape;      // the innermost extent last
  const BlockFormat* blocks = nullptr;  // what the values are packed in, or null: they are plain
  /// Not 0: rows come in groups of so many, in which rows i and i + half of it are stored side by side.
  std::int64_t paired_rows = 0;

  std::int64_t num_elements() const;
  std::size_t num_bytes() const;
  /// All extents but the last; 1 of a vector.
  std::int64_t num_rows() const;
  std::int64_t width() const { return shape.empty() ? 1 : shape.back(); }
  /// Values of `dtype` as they are used, in order.
  bool is_plain() const { return blocks == nullptr && paired_rows == 0; }
  /// Where a row is stored, of plain values or of whole blocks.
  const std::byte* row(std::int64_t index) const;
  std::string type_name() const;  // "bf16", "Q4_K"
};

/// Rows [first, first + count) in fp32: [count, width].
void read_rows(const StoredTensor& tensor, std::int64_t first, std::int64_t count, float* out);
/// All of a tensor, whose elements are the rows of it where these are paired.
void read_vector(const StoredTensor& tensor, float* out);

class TensorSource {
 public:
  /// path: the folder of a checkpoint, or a GGUF file or the folder of one (find_gguf). Throws tca::Error naming file,
  /// tensor and value.
  static std::unique_ptr<const TensorSource> open(const std::string& path);
  virtual ~TensorSource();
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  /// Throws kBadFile naming the tensor when it is missing or its shape is another one, kUnsupported when it is stored
  /// in a type that is not read (has and tensors leave those out).
  const StoredTensor& get(const std::string& name, const std::vector<std::int64_t>& shape) const;
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  /// SHA-256 (hex) of the index file, of the single file's header (the JSON text), or of GGUF files' lists of tensors.
  const std::string& fingerprint() const { return fingerprint_; }
  /// 16 hex digits that tell weights from others of the same shape, however they are sharded and ordered: a checksum of
  /// every tensor's name, type, shape and values; of large tensors, of samples spread over them.
  std::string content_hash() const;

  struct TypeCount {
    std::string type;
    std::int64_t tensors = 0;
    std::size_t bytes = 0;
  };
  /// The types that tensors are stored in, that of most bytes first.
  std::vector<TypeCount> types() const;
  std::size_t total_bytes() const;
  /// Its memory is not needed for now: what the file maps is given back, and read again if somebody looks.
  void drop_pages(const StoredTensor& tensor) const;
  /// What is odd about the files, although they can be read: for people.
  const std::vector<std::string>& warnings() const { return warnings_; }

 protected:
  TensorSource();
  TensorSource(TensorSource&&) noexcept;
  /// Behind "is missing from the checkpoint", for a tensor that something says is there.
  virtual std::string why_missing(const std::string& name) const;
  virtual const char* supported_types() const = 0;

  std::map<std::string, StoredTensor> tensors_;
  std::map<std::string, std::string> other_types_;  // tensors that are not read: name and type
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::string fingerprint_;
  std::vector<std::string> warnings_;
};

/// Values stored alike.
bool same_values(const StoredTensor& a, const StoredTensor& b);

/// Which tensors a causal model's two embeddings are. Where one of them is stored it serves both, whatever the
/// configuration says about tying; where both are, each is used (one copy in memory when they are tied and alike).
struct EmbeddingNames {
  std::string input = "model.embed_tokens", output = "lm_head";  // without ".weight"
  bool tied() const { return input == output; }
};
EmbeddingNames find_embeddings(const TensorSource& source, bool says_tied);

}  // namespace tca::runtime
