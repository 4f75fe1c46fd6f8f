#include "runtime/io/safetensors_file.h"

#include <algorithm>
#include <limits>

#include "core/check.h"
#include "core/file_kind.h"
#include "core/json.h"
#include "core/quote.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kLengthBytes = 8;               // little-endian, before the header
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // as the format says
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

[[noreturn]] void fail_tensor(const std::string& path, const std::string& name, const std::string& what) {
  fail(ErrorCategory::kBadFile, text(path, ": tensor ", quoted_name(name), ": ", what));
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

SafetensorsEntry parse_entry(const std::string& path, const std::string& name, const json& value,
                             std::int64_t data_bytes) {
  const std::string where = text(path, ": tensor ", quoted_name(name), ".");
  SafetensorsEntry entry{name, get_string(value, "dtype", where), {}, 0, 0};
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
                 text("offsets in [0, ", data_bytes, "], the bytes of data in the file; is it cut off?"));
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
void check_layout(const std::string& path, std::vector<SafetensorsEntry> entries, std::int64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::int64_t covered = 0;
  for (const SafetensorsEntry& entry : entries) {
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

}  // namespace

SafetensorsFile open_safetensors(const std::string& path) {
  auto map = std::make_shared<const MappedFile>(path);
  const auto bad = [&](const std::string& what) { fail(ErrorCategory::kBadFile, text(path, ": ", what)); };
  const std::string_view content(reinterpret_cast<const char*>(map->data()), map->size());
  if (const std::string foreign = describe_foreign_content(content); !foreign.empty()) bad("is " + foreign);
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
  SafetensorsFile file{map, {reinterpret_cast<const char*>(map->data()) + kLengthBytes, header_bytes}, {}};
  const JsonDocument header(parse_json(file.header, path + " (header)"));
  if (!header->is_object()) bad("the header is not a JSON object");
  const auto data_bytes = static_cast<std::int64_t>(after_length - header_bytes);
  for (const auto& [name, value] : header->items()) {
    if (name != "__metadata__") file.entries.push_back(parse_entry(path, name, value, data_bytes));
  }
  check_layout(path, file.entries, data_bytes);
  return file;
}

std::optional<DType> safetensors_dtype(const std::string& name) {
  const DTypeInfo* const info = find_dtype(name);
  return info == nullptr ? std::nullopt : info->dtype;
}

}  // namespace tca::runtime
