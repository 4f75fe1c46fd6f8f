#include "runtime/io/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "core/check.h"
#include "core/checksum.h"
#include "core/file.h"
#include "core/json.h"
#include "core/sha256.h"
#include "runtime/io/model_folder.h"
#include "runtime/io/safetensors_file.h"

namespace tca::runtime {
namespace {

constexpr std::size_t kMaxIndexBytes = std::size_t{64} << 20;
constexpr const char* kIndexName = "model.safetensors.index.json";

// Of a tensor of more than kWholeBytes, kSamples pieces are hashed, spread from its first byte to its last: 2,048 bf16
// weights of each, some pages. Of 16 GB in 290 tensors that is 1 MiB, a few milliseconds where the pages are in memory.
constexpr std::size_t kSampleBytes = 1024, kSamples = 4, kWholeBytes = 16384;

// The file that an index names for each tensor.
std::map<std::string, std::string> parse_index(const std::string& path, std::string_view content) {
  const JsonDocument index(parse_python_json(content, path));
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, file] : get_object(*index, "weight_map", path).items()) {
    const std::string where = text(path, ": weight_map.");
    if (!file.is_string()) fail_field(where, quoted_name(tensor), file, "the name of a file");
    const auto& name = file.get_ref<const std::string&>();
    const bool plain = !name.empty() && name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos &&
                       name.ends_with(".safetensors");
    if (!plain) fail_field(where, quoted_name(tensor), file, "the plain name of a .safetensors file beside the index");
    shards[tensor] = name;
  }
  if (shards.empty()) fail(ErrorCategory::kBadFile, path + ": weight_map names no tensor");
  return shards;
}

void hash_values(const StoredTensor& tensor, Checksum64& hash) {
  const auto* const bytes = static_cast<const std::byte*>(tensor.data);
  const std::size_t size = tensor.num_bytes();
  if (size <= kWholeBytes) return hash.update(bytes, size);
  for (std::size_t i = 0; i < kSamples; ++i) {
    hash.update(bytes + (size - kSampleBytes) * i / (kSamples - 1), kSampleBytes);
  }
}

bool same_values(const StoredTensor& a, const StoredTensor& b) {
  return a.dtype == b.dtype && a.shape == b.shape &&
         (a.data == b.data || std::memcmp(a.data, b.data, a.num_bytes()) == 0);
}

}  // namespace

std::int64_t StoredTensor::num_elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;  // fits: checked when the file was opened
  return product;
}

Checkpoint Checkpoint::open(const std::string& dir) {
  const std::string single = dir + "/model.safetensors", index = text(dir, "/", kIndexName);
  Checkpoint checkpoint;
  if (has_entry(single)) {
    checkpoint.fingerprint_ = sha256_hex(checkpoint.add_file(single));
  } else if (has_entry(index)) {
    checkpoint.open_shards(dir, index);
  } else {
    fail_without(dir, ModelPart::kWeights);
  }
  checkpoint.add_base_prefix();
  return checkpoint;
}

void Checkpoint::open_shards(const std::string& dir, const std::string& index) {
  const std::string content = read_file(index, kMaxIndexBytes);
  shards_ = parse_index(index, content);
  std::map<std::string, std::vector<std::string>> files;  // in the order in which Transformers reads them
  for (const auto& [tensor, file] : shards_) files[file].push_back(tensor);
  for (const auto& [file, names] : files) {
    if (!has_entry(dir + "/" + file)) {
      fail(ErrorCategory::kIo, text(dir, "/", quoted_name(file), ": missing, but ", kIndexName, " needs it"));
    }
  }
  std::map<std::string, StoredTensor> named;  // as they are in the file that the index names
  for (const auto& [file, names] : files) {
    add_file(dir + "/" + file);
    for (const std::string& name : names) {
      if (const auto found = tensors_.find(name); found != tensors_.end()) named.insert(*found);
    }
  }
  for (const auto& [name, tensor] : named) {
    const auto read = tensors_.find(name);
    if (read == tensors_.end() || same_values(read->second, tensor)) continue;
    warnings_.push_back(text(dir, ": tensor ", quoted_name(name), " is another one in ", shards_.at(name), ", which ",
                             kIndexName,
                             " names for it, than in a later file; the latter is read, as by Transformers"));
  }
  fingerprint_ = sha256_hex(content);
}

std::string_view Checkpoint::add_file(const std::string& path) {
  const SafetensorsFile file = open_safetensors(path);
  files_.push_back(file.map);
  for (const SafetensorsEntry& entry : file.entries) {
    const auto dtype = safetensors_dtype(entry.dtype);
    if (!dtype) {
      tensors_.erase(entry.name);
      other_dtypes_[entry.name] = entry.dtype;
      continue;
    }
    const void* const data =
        aligned(file.data() + entry.begin, static_cast<std::size_t>(entry.end - entry.begin), *dtype);
    other_dtypes_.erase(entry.name);
    tensors_[entry.name] = {data, *dtype, entry.shape};
  }
  return file.header;
}

/// What saves a model without its head leaves out the "model." of the names.
void Checkpoint::add_base_prefix() {
  if (has("model.norm.weight") || !has("norm.weight")) return;
  const auto prefixed = [](auto& names) {
    std::remove_reference_t<decltype(names)> result;
    for (auto& [name, value] : names) result[name.starts_with("lm_head.") ? name : "model." + name] = std::move(value);
    names = std::move(result);
  };
  prefixed(tensors_);
  prefixed(other_dtypes_);
}

const void* Checkpoint::aligned(const std::byte* data, std::size_t bytes, DType dtype) {
  if (reinterpret_cast<std::uintptr_t>(data) % dtype_size(dtype) == 0) return data;
  const std::shared_ptr<std::byte[]> copy(new std::byte[bytes]);
  std::memcpy(copy.get(), data, bytes);
  copies_.push_back(copy);
  return copy.get();
}

const StoredTensor& Checkpoint::get(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    const auto other = other_dtypes_.find(name);
    check_supported(other == other_dtypes_.end(), "tensor ", quoted_name(name), " is stored as ",
                    other == other_dtypes_.end() ? "" : quoted_name(other->second), "; supported: BF16, F16, F32");
    const auto named = shards_.find(name);
    fail(ErrorCategory::kBadFile,
         text("tensor ", quoted_name(name), " is missing from the checkpoint",
              named == shards_.end() ? "" : text(", though ", kIndexName, " says that ", named->second, " holds it")));
  }
  if (found->second.shape != shape) {
    fail(ErrorCategory::kBadFile, text("tensor ", quoted_name(name), " has shape ", shape_text(found->second.shape),
                                       "; the model's config.json needs ", shape_text(shape)));
  }
  return found->second;
}

std::size_t Checkpoint::total_bytes() const {
  std::size_t total = 0;
  for (const auto& [name, tensor] : tensors_) {
    total += tensor.num_bytes();
  }
  return total;
}

DType Checkpoint::main_dtype() const {
  std::map<DType, std::size_t> bytes;
  for (const auto& [name, tensor] : tensors_) bytes[tensor.dtype] += tensor.num_bytes();
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? DType::kBF16 : most->first;
}

std::string Checkpoint::content_hash() const {
  Checksum64 hash;
  for (const auto& [name, tensor] : tensors_) {  // in the order of names
    const std::string described = text(name, ' ', tensor.dtype, ' ', shape_text(tensor.shape), '\n');
    hash.update(described.data(), described.size());
    hash_values(tensor, hash);
  }
  std::string hex;
  for (int shift = 60; shift >= 0; shift -= 4) hex += "0123456789abcdef"[(hash.value() >> shift) & 15];
  return hex;
}

void Checkpoint::drop_pages(const StoredTensor& tensor) const {
  for (const auto& file : files_) {
    file->drop_pages(static_cast<const std::byte*>(tensor.data), tensor.num_bytes());
  }
}

EmbeddingNames find_embeddings(const Checkpoint& checkpoint, bool says_tied) {
  EmbeddingNames names;
  const auto& tensors = checkpoint.tensors();
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
