#include "runtime/gguf/gguf_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>
#include <system_error>

#include "core/check.h"
#include "core/quote.h"
#include "core/sha256.h"
#include "runtime/gguf/gguf_part.h"

namespace tca::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "GGUF", kExtension = ".gguf", kOf = "-of-";
constexpr std::size_t kDigits = 5;
constexpr int kMaxParts = 1000;

// "-00002-of-00003.gguf": the number of parts, and where in the name the part's own number begins.
struct Split {
  int count;
  std::size_t digits;
};
std::optional<Split> parse_split(const std::string& path) {
  constexpr std::size_t kTail = 1 + kDigits + kOf.size() + kDigits + kExtension.size();
  if (path.size() < kTail || !path.ends_with(kExtension)) return std::nullopt;
  const std::size_t begin = path.size() - kTail;
  const auto number = [&](std::size_t at) {
    int value = -1;
    const char* const first = path.data() + at;
    const auto [end, error] = std::from_chars(first, first + kDigits, value);
    return error == std::errc() && end == first + kDigits ? value : -1;
  };
  const int own = number(begin + 1), count = number(begin + 1 + kDigits + kOf.size());
  const bool named = path[begin] == '-' && path.compare(begin + 1 + kDigits, kOf.size(), kOf) == 0;
  if (!named || own < 1 || count < own || count > kMaxParts) return std::nullopt;
  return Split{count, begin + 1};
}

void check_part(const GgufPart& part, const std::string& path, std::size_t index, std::size_t count) {
  const auto said = part.metadata.integer("split.count", 0, 1 << 20).value_or(0);
  if (said == 0 && count == 1) return;
  if (said != static_cast<std::int64_t>(count)) {
    fail(ErrorCategory::kBadFile,
         text(path, ": split.count is ", said, ", but its name says ", count, " part", count == 1 ? "" : "s",
              ": parts are named NAME-00001-of-", count == 1 ? "00002" : "0000N", ".gguf; give the first"));
  }
  const auto number = part.metadata.needed_integer("split.no", 0, 1 << 20);
  if (number != static_cast<std::int64_t>(index)) {
    fail(ErrorCategory::kBadFile, text(path, ": split.no is ", number, "; its name says ", index));
  }
}

void check_together(const std::vector<GgufPart>& parts, const std::string& path) {
  std::set<std::string_view> names;
  for (const GgufPart& part : parts) {
    for (const GgufTensor& tensor : part.tensors) {
      if (!names.insert(tensor.name).second) {
        fail(ErrorCategory::kBadFile, text(path, ": tensor ", quoted_name(tensor.name), " is in two parts"));
      }
    }
  }
  const auto said = parts.front().metadata.integer("split.tensors.count", 0, std::int64_t{1} << 40);
  if (parts.size() > 1 && said && *said != static_cast<std::int64_t>(names.size())) {
    fail(ErrorCategory::kBadFile,
         text(path, ": split.tensors.count is ", *said, ", but the parts hold ", names.size()));
  }
}

}  // namespace

std::vector<std::string> part_names(const std::string& path) {
  const auto split = parse_split(path);
  if (!split) return {path};
  std::vector<std::string> names;
  for (int i = 1; i <= split->count; ++i) {
    const std::string digits = text(i);
    std::string name = path;
    name.replace(split->digits, kDigits, std::string(kDigits - digits.size(), '0') + digits);
    names.push_back(std::move(name));
  }
  return names;
}

GgufFile GgufFile::open(const std::string& path) {
  const std::vector<std::string> names = part_names(path);
  GgufFile file;
  file.path_ = path;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!has_entry(names[i])) {
      fail(ErrorCategory::kIo, text(names[i], ": missing; ", path, " is one of ", names.size(), " parts of a model"));
    }
    file.parts_.push_back(open_gguf_part(names[i]));
    check_part(file.parts_.back(), names[i], i, names.size());
  }
  check_together(file.parts_, path);
  return file;
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  for (const GgufPart& part : parts_) {
    for (const GgufTensor& tensor : part.tensors) {
      if (tensor.name == name) return &tensor;
    }
  }
  return nullptr;
}

std::string GgufFile::fingerprint() const {
  Sha256 hash;
  for (const GgufPart& part : parts_) hash.update(part.tensor_infos);
  return hash.finish_hex();
}

bool is_gguf_file(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  FileReader reader(path);
  std::array<char, kMagic.size()> begin{};
  if (reader.size() < begin.size()) return false;
  reader.read(begin.data(), begin.size());
  return std::string_view(begin.data(), begin.size()) == kMagic;
}

std::string find_gguf(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return is_gguf_file(path) ? path : "";
  if (has_entry(path + "/config.json")) return "";
  std::set<std::string> models;  // parts by the first of them
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    const std::string file = entry->path().string();
    if (file.ends_with(kExtension)) models.insert(part_names(file).front());
  }
  check_argument(models.size() <= 1, path,
                 ": holds several GGUF files; give one of them: ", models.empty() ? "" : *models.begin(), ", ",
                 models.empty() ? "" : *models.rbegin(), models.size() > 2 ? ", ..." : "");
  return models.empty() ? "" : *models.begin();
}

}  // namespace tca::runtime
