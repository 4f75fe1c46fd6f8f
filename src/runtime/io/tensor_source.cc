#include "runtime/io/tensor_source.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "core/checksum.h"
#include "core/file.h"
#include "core/half.h"
#include "core/quote.h"
#include "runtime/gguf/gguf_file.h"
#include "runtime/io/gguf_tensors.h"
#include "runtime/io/safetensors.h"

namespace tca::runtime {
namespace {

// Of a tensor of more than kWholeBytes, kSamples pieces are hashed, spread from its first byte to its last: 2,048 bf16
// weights of each, some pages. Of 16 GB in 290 tensors that is 1 MiB, a few milliseconds where the pages are in memory.
constexpr std::size_t kSampleBytes = 1024, kSamples = 4, kWholeBytes = 16384;

void hash_values(const StoredTensor& tensor, Checksum64& hash) {
  const auto* const bytes = static_cast<const std::byte*>(tensor.data);
  const std::size_t size = tensor.num_bytes();
  if (size <= kWholeBytes) return hash.update(bytes, size);
  for (std::size_t i = 0; i < kSamples; ++i) {
    hash.update(bytes + (size - kSampleBytes) * i / (kSamples - 1), kSampleBytes);
  }
}

// Of neighbours in storage the first is from the first half of the group, the second from the other.
std::int64_t stored_row(std::int64_t row, std::int64_t group) {
  const std::int64_t half = group / 2, inside = row % group;
  return row - inside + 2 * (inside % half) + inside / half;
}

}  // namespace

std::int64_t StoredTensor::num_elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;  // fits: checked when the file was opened
  return product;
}

std::size_t StoredTensor::num_bytes() const {
  if (blocks != nullptr) return static_cast<std::size_t>(blocks->bytes_of(num_elements()));
  return static_cast<std::size_t>(num_elements()) * dtype_size(dtype);
}

std::int64_t StoredTensor::num_rows() const {
  const std::int64_t w = width();
  return w == 0 ? 0 : num_elements() / w;
}

const std::byte* StoredTensor::row(std::int64_t index) const {
  const std::int64_t at = paired_rows == 0 ? index : stored_row(index, paired_rows);
  const std::int64_t bytes =
      blocks != nullptr ? blocks->bytes_of(width()) : width() * static_cast<std::int64_t>(dtype_size(dtype));
  return static_cast<const std::byte*>(data) + at * bytes;
}

std::string StoredTensor::type_name() const {
  return blocks != nullptr ? blocks->name : std::string(dtype_name(dtype));
}

void read_rows(const StoredTensor& tensor, std::int64_t first, std::int64_t count, float* out) {
  const std::int64_t width = tensor.width();
  for (std::int64_t row = first; row < first + count; ++row, out += width) {
    if (tensor.blocks != nullptr) {
      tensor.blocks->read(tensor.row(row), width / tensor.blocks->values, out);
    } else {
      convert_row(tensor.row(row), tensor.dtype, out, width);
    }
  }
}

void read_vector(const StoredTensor& tensor, float* out) {
  StoredTensor column = tensor;
  if (tensor.paired_rows != 0) column.shape.push_back(1);
  read_rows(column, 0, column.num_rows(), out);
}

TensorSource::TensorSource() = default;
TensorSource::TensorSource(TensorSource&&) noexcept = default;
TensorSource::~TensorSource() = default;

std::unique_ptr<const TensorSource> TensorSource::open(const std::string& path) {
  if (const std::string gguf = find_gguf(path); !gguf.empty()) return std::make_unique<GgufTensors>(gguf);
  return std::make_unique<Checkpoint>(Checkpoint::open(path));
}

std::string TensorSource::why_missing(const std::string&) const { return ""; }

const StoredTensor& TensorSource::get(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    const auto other = other_types_.find(name);
    check_supported(other == other_types_.end(), "tensor ", quoted_name(name), " is stored as ",
                    other == other_types_.end() ? "" : quoted_name(other->second), "; supported: ", supported_types());
    fail(ErrorCategory::kBadFile,
         text("tensor ", quoted_name(name), " is missing from the checkpoint", why_missing(name)));
  }
  if (found->second.shape != shape) {
    fail(ErrorCategory::kBadFile, text("tensor ", quoted_name(name), " has shape ", shape_text(found->second.shape),
                                       "; the model's configuration needs ", shape_text(shape)));
  }
  return found->second;
}

std::size_t TensorSource::total_bytes() const {
  std::size_t total = 0;
  for (const auto& [name, tensor] : tensors_) total += tensor.num_bytes();
  return total;
}

std::vector<TensorSource::TypeCount> TensorSource::types() const {
  std::map<std::string, TypeCount> counts;
  for (const auto& [name, tensor] : tensors_) {
    TypeCount& count = counts[tensor.type_name()];
    ++count.tensors;
    count.bytes += tensor.num_bytes();
  }
  for (const auto& [name, type] : other_types_) ++counts[type].tensors;
  std::vector<TypeCount> result;
  for (auto& [type, count] : counts) result.push_back({type, count.tensors, count.bytes});
  std::stable_sort(result.begin(), result.end(),
                   [](const TypeCount& a, const TypeCount& b) { return a.bytes > b.bytes; });
  return result;
}

std::string TensorSource::content_hash() const {
  Checksum64 hash;
  for (const auto& [name, tensor] : tensors_) {  // in the order of names
    const std::string described = text(name, ' ', tensor.type_name(), ' ', shape_text(tensor.shape), '\n');
    hash.update(described.data(), described.size());
    hash_values(tensor, hash);
  }
  std::string hex;
  for (int shift = 60; shift >= 0; shift -= 4) hex += "0123456789abcdef"[(hash.value() >> shift) & 15];
  return hex;
}

void TensorSource::drop_pages(const StoredTensor& tensor) const {
  for (const auto& file : files_) {
    file->drop_pages(static_cast<const std::byte*>(tensor.data), tensor.num_bytes());
  }
}

bool same_values(const StoredTensor& a, const StoredTensor& b) {
  return a.dtype == b.dtype && a.blocks == b.blocks && a.shape == b.shape &&
         (a.data == b.data || std::memcmp(a.data, b.data, a.num_bytes()) == 0);
}

EmbeddingNames find_embeddings(const TensorSource& source, bool says_tied) {
  EmbeddingNames names;
  const auto& tensors = source.tensors();
  const auto input = tensors.find(names.input + ".weight"), output = tensors.find(names.output + ".weight");
  const bool both = input != tensors.end() && output != tensors.end();
  if (output == tensors.end() || (both && says_tied && same_values(input->second, output->second))) {
    names.output = names.input;
  } else if (!both) {
    names.input = names.output;
  }
  return names;
}

}  // namespace tca::runtime
