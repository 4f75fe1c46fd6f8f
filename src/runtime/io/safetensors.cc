#include "runtime/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "core/check.h"
#include "core/file.h"
#include "core/json.h"
#include "core/quote.h"
#include "core/sha256.h"
#include "runtime/io/model_folder.h"
#include "runtime/io/safetensors_file.h"

namespace tca::runtime {
namespace {

constexpr std::size_t kMaxIndexBytes = std::size_t{64} << 20;
constexpr const char* kIndexName = "model.safetensors.index.json";

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

}  // namespace

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
      other_types_[entry.name] = entry.dtype;
      continue;
    }
    const void* const data =
        aligned(file.data() + entry.begin, static_cast<std::size_t>(entry.end - entry.begin), *dtype);
    other_types_.erase(entry.name);
    tensors_[entry.name] = {data, *dtype, entry.shape, nullptr, 0};
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
  prefixed(other_types_);
}

const void* Checkpoint::aligned(const std::byte* data, std::size_t bytes, DType dtype) {
  if (reinterpret_cast<std::uintptr_t>(data) % dtype_size(dtype) == 0) return data;
  const std::shared_ptr<std::byte[]> copy(new std::byte[bytes]);
  std::memcpy(copy.get(), data, bytes);
  copies_.push_back(copy);
  return copy.get();
}

std::string Checkpoint::why_missing(const std::string& name) const {
  const auto named = shards_.find(name);
  return named == shards_.end() ? "" : text(", though ", kIndexName, " says that ", named->second, " holds it");
}

}  // namespace tca::runtime
