#include "runtime/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <unordered_set>

#include "core/check.h"
#include "core/file.h"
#include "core/json.h"
#include "core/sha256.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kLengthBytes = 8;               // little-endian, before the header
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // as the format says
constexpr std::size_t kMaxIndexBytes = std::size_t{64} << 20;
constexpr std::int64_t kMaxSize = std::numeric_limits<std::int64_t>::max();

struct DTypeInfo {
  const char* name;
  std::int64_t bits;
  std::optional<DType> dtype;  // of those that the runtime computes with
};
constexpr DTypeInfo kDTypes[] = {
    {"BF16", 16, DType::kBF16},
    {"F16", 16, DType::kF16},
    {"F32", 32, DType::kF32},
    {"F64", 64, {}},
    {"I64", 64, {}},
    {"U64", 64, {}},
    {"I32", 32, {}},
    {"U32", 32, {}},
    {"I16", 16, {}},
    {"U16", 16, {}},
    {"I8", 8, {}},
    {"U8", 8, {}},
    {"BOOL", 8, {}},
    {"C64", 64, {}},
    {"F8_E4M3", 8, {}},
    {"F8_E5M2", 8, {}},
    {"F8_E8M0", 8, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"F4", 4, {}},
};

// Names come from the file: shortened, and escaped so that they print on one line.
std::string quoted(const std::string& name) {
  constexpr std::size_t kShown = 100;
  const std::string shown = name.size() > kShown ? name.substr(0, kShown) + "..." : name;
  return json(shown).dump(-1, ' ', true, json::error_handler_t::replace);
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  constexpr std::size_t kShown = 8;
  std::string out = "[";
  for (std::size_t i = 0; i < std::min(shape.size(), kShown); ++i) out += text(i == 0 ? "" : ", ", shape[i]);
  return out + (shape.size() > kShown ? ", ...]" : "]");
}

struct Entry {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0, end = 0;
};

[[noreturn]] void fail_tensor(const std::string& path, const std::string& name, const std::string& what) {
  fail(ErrorCategory::kBadFile, text(path, ": tensor ", quoted(name), ": ", what));
}

const DTypeInfo* find_dtype(const std::string& name) {
  const auto* found =
      std::find_if(std::begin(kDTypes), std::end(kDTypes), [&](const DTypeInfo& info) { return name == info.name; });
  return found == std::end(kDTypes) ? nullptr : found;
}

// Bytes of shape; nothing when that does not fit 63 bits or is no whole number of bytes.
std::optional<std::int64_t> bytes_of(const std::vector<std::int64_t>& shape, std::int64_t bits) {
  std::int64_t product = bits;
  for (const std::int64_t extent : shape) {
    if (__builtin_mul_overflow(product, extent, &product)) return std::nullopt;
  }
  if (product % 8 != 0) return std::nullopt;
  return product / 8;
}

Entry parse_entry(const std::string& path, const std::string& name, const json& value, std::int64_t data_bytes) {
  const std::string where = text(path, ": tensor ", quoted(name), ".");
  Entry entry{name, get_string(value, "dtype", where), {}, 0, 0};
  for (const json& extent : get_array(value, "shape", where)) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > std::uint64_t{kMaxSize}) {
      fail_field(where, "shape", extent, "integers of at least 0");
    }
    entry.shape.push_back(extent.get<std::int64_t>());
  }
  const json& offsets = get_array(value, "data_offsets", where);
  const auto offset = [&](std::size_t i) {
    const bool fits =
        offsets[i].is_number_unsigned() && offsets[i].get<std::uint64_t>() <= static_cast<std::uint64_t>(data_bytes);
    if (!fits)
      fail_field(where, "data_offsets", offsets[i],
                 text("offsets in [0, ", data_bytes, "], the bytes of data in the file"));
    return offsets[i].get<std::int64_t>();
  };
  if (offsets.size() != 2) fail_field(where, "data_offsets", offsets, "two offsets");
  entry.begin = offset(0);
  entry.end = offset(1);
  if (entry.begin > entry.end) {
    fail_tensor(path, name, text("data_offsets [", entry.begin, ", ", entry.end, "] end before they begin"));
  }
  if (const DTypeInfo* const info = find_dtype(entry.dtype)) {
    const auto bytes = bytes_of(entry.shape, info->bits);
    if (!bytes || *bytes != entry.end - entry.begin) {
      fail_tensor(path, name,
                  text(entry.dtype, " of shape ", shape_text(entry.shape), " does not take the ",
                       entry.end - entry.begin, " bytes of data_offsets"));
    }
  }
  return entry;
}

// The tensors cover the data without gap or overlap, as the format asks: nothing hides in the file, and no two share.
void check_layout(const std::string& path, std::vector<Entry> entries, std::int64_t data_bytes) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  std::int64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered) {
      fail_tensor(path, entry.name,
                  text("data_offsets begin at ", entry.begin,
                       entry.begin < covered ? ", inside another tensor" : ", after a hole", "; expected ", covered));
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    fail(ErrorCategory::kBadFile,
         text(path, ": its tensors take ", covered, " bytes of data, the file holds ", data_bytes));
  }
}

struct File {
  std::shared_ptr<const MappedFile> map;
  std::string_view header;  // inside the map
  std::vector<Entry> entries;
};

File open_file(const std::string& path) {
  auto map = std::make_shared<const MappedFile>(path);
  const auto bad = [&](const std::string& what) { fail(ErrorCategory::kBadFile, path + ": " + what); };
  if (map->size() < kLengthBytes) bad(text("has ", map->size(), " bytes; a safetensors file has at least 8"));
  std::uint64_t header_bytes = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;)
    header_bytes = header_bytes << 8 | std::to_integer<unsigned>(map->data()[i]);
  const std::size_t after_length = map->size() - kLengthBytes;
  if (header_bytes > kMaxHeaderBytes)
    bad(text("the header has ", header_bytes, " bytes; at most ", kMaxHeaderBytes, " are allowed"));
  if (header_bytes > after_length) {
    bad(text("the header has ", header_bytes, " bytes, the file only ", after_length,
             " after the length: it is cut off"));
  }
  File file{map, {reinterpret_cast<const char*>(map->data()) + kLengthBytes, header_bytes}, {}};
  const json header = parse_json(file.header, path + " (header)");
  if (!header.is_object()) bad("the header is not a JSON object");
  const auto data_bytes = static_cast<std::int64_t>(after_length - header_bytes);
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") file.entries.push_back(parse_entry(path, name, value, data_bytes));
  }
  check_layout(path, file.entries, data_bytes);
  return file;
}

// Shards by file name, each with the tensors that the index expects in it.
std::map<std::string, std::vector<std::string>> parse_index(const std::string& path, std::string_view content) {
  const json index = parse_json(content, path);
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [tensor, file] : get_object(index, "weight_map", path).items()) {
    const std::string where = text(path, ": weight_map.");
    if (!file.is_string()) fail_field(where, quoted(tensor), file, "the name of a file");
    const auto& name = file.get_ref<const std::string&>();
    const bool plain = !name.empty() && name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos &&
                       name.ends_with(".safetensors");
    if (!plain) fail_field(where, quoted(tensor), file, "the plain name of a .safetensors file beside the index");
    shards[name].push_back(tensor);
  }
  if (shards.empty()) fail(ErrorCategory::kBadFile, path + ": weight_map names no tensor");
  return shards;
}

}  // namespace

std::int64_t StoredTensor::num_elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;  // fits: checked when the file was opened
  return product;
}

Checkpoint Checkpoint::open(const std::string& dir) {
  namespace fs = std::filesystem;
  const std::string single = dir + "/model.safetensors";
  const std::string index = dir + "/model.safetensors.index.json";
  std::error_code ignored;
  Checkpoint checkpoint;
  if (fs::exists(single, ignored)) {
    checkpoint.fingerprint_ = sha256_hex(checkpoint.add_file(single, nullptr));
    return checkpoint;
  }
  if (!fs::exists(index, ignored)) {
    fail(ErrorCategory::kIo,
         text(dir,
              ": holds neither model.safetensors nor model.safetensors.index.json; expected the folder of a "
              "Hugging Face checkpoint"));
  }
  const std::string content = read_file(index, kMaxIndexBytes);
  const auto shards = parse_index(index, content);
  for (const auto& [name, tensors] : shards) {
    if (!fs::exists(dir + "/" + name, ignored)) {
      fail(ErrorCategory::kIo, text(dir, "/", quoted(name), ": missing, but model.safetensors.index.json needs it"));
    }
  }
  for (const auto& [name, tensors] : shards) checkpoint.add_file(dir + "/" + name, &tensors);
  checkpoint.fingerprint_ = sha256_hex(content);
  return checkpoint;
}

std::string_view Checkpoint::add_file(const std::string& path, const std::vector<std::string>* expected) {
  const File file = open_file(path);
  const std::byte* const data = reinterpret_cast<const std::byte*>(file.header.data()) + file.header.size();
  files_.push_back(file.map);
  for (const Entry& entry : file.entries) {
    if (tensors_.count(entry.name) != 0 || other_dtypes_.count(entry.name) != 0) {
      fail_tensor(path, entry.name, "another shard holds it too");
    }
    const DTypeInfo* const info = find_dtype(entry.dtype);
    if (info == nullptr || !info->dtype) {
      other_dtypes_[entry.name] = entry.dtype;
      continue;
    }
    tensors_[entry.name] = {
        aligned(data + entry.begin, static_cast<std::size_t>(entry.end - entry.begin), *info->dtype), *info->dtype,
        entry.shape};
  }
  if (expected != nullptr) {
    std::unordered_set<std::string_view> here;
    for (const Entry& entry : file.entries) here.insert(entry.name);
    for (const std::string& name : *expected) {
      if (here.count(name) == 0) {
        fail_tensor(path, name, "not in this shard, where model.safetensors.index.json expects it");
      }
    }
  }
  return file.header;
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
    check_supported(other == other_dtypes_.end(), "tensor ", quoted(name), " is stored as ",
                    other == other_dtypes_.end() ? "" : quoted(other->second), "; supported: BF16, F16, F32");
    fail(ErrorCategory::kBadFile, text("tensor ", quoted(name), " is missing from the checkpoint"));
  }
  if (found->second.shape != shape) {
    fail(ErrorCategory::kBadFile, text("tensor ", quoted(name), " has shape ", shape_text(found->second.shape),
                                       "; the model's config.json needs ", shape_text(shape)));
  }
  return found->second;
}

std::size_t Checkpoint::total_bytes() const {
  std::size_t total = 0;
  for (const auto& [name, tensor] : tensors_) {
    total += static_cast<std::size_t>(tensor.num_elements()) * dtype_size(tensor.dtype);
  }
  return total;
}

void Checkpoint::drop_pages(const StoredTensor& tensor) const {
  const auto bytes = static_cast<std::size_t>(tensor.num_elements()) * dtype_size(tensor.dtype);
  for (const auto& file : files_) file->drop_pages(static_cast<const std::byte*>(tensor.data), bytes);
}

}  // namespace tca::runtime
