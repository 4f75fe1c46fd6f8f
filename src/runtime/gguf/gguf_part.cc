#include "runtime/gguf/gguf_part.h"

#include <algorithm>
#include <limits>
#include <set>

#include "core/check.h"
#include "core/file_kind.h"
#include "core/json.h"
#include "core/quote.h"
#include "runtime/gguf/cursor.h"

namespace tca::runtime {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::size_t kMaxNameBytes = 1024;
constexpr std::int64_t kDefaultAlignment = 32;
constexpr std::int64_t kMaxSize = std::numeric_limits<std::int64_t>::max();

struct PlainType {
  std::uint32_t id;
  DType dtype;
};
constexpr PlainType kPlainTypes[] = {{0, DType::kF32}, {1, DType::kF16}, {30, DType::kBF16}};

// Names of all types, for messages and counts.
struct TypeName {
  std::uint32_t id;
  const char* name;
};
constexpr TypeName kTypeNames[] = {
    {0, "F32"},    {1, "F16"},    {9, "Q8_1"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"},
    {19, "IQ1_S"}, {21, "IQ3_S"}, {22, "IQ2_S"}, {24, "I8"},    {25, "I16"},     {26, "I32"},    {27, "I64"},
    {28, "F64"},   {29, "IQ1_M"}, {30, "BF16"},  {34, "TQ1_0"}, {35, "TQ2_0"},   {40, "NVFP4"},  {41, "Q1_0"},
};

std::string type_name(std::uint32_t id) {
  if (const BlockFormat* const blocks = find_block_format(id)) return blocks->name;
  for (const TypeName& known : kTypeNames) {
    if (known.id == id) return known.name;
  }
  return text("type ", id);
}

class PartReader {
 public:
  explicit PartReader(const std::string& path)
      : map_(std::make_shared<const MappedFile>(path)),
        cursor_({reinterpret_cast<const char*>(map_->data()), map_->size()}, path) {}

  GgufPart read() {
    read_version();
    const auto num_tensors = cursor_.number<std::uint64_t>("the number of tensors");
    const auto num_pairs = cursor_.number<std::uint64_t>("the number of metadata keys");
    part_.metadata = Metadata::parse(cursor_, num_pairs);
    const std::size_t begin = cursor_.position();
    for (std::uint64_t i = 0; i < num_tensors; ++i) read_tensor_info();
    part_.tensor_infos = cursor_.since(begin);
    place_tensors();
    part_.map = map_;
    return std::move(part_);
  }

 private:
  void read_version() {
    const std::string_view content(reinterpret_cast<const char*>(map_->data()), map_->size());
    if (!content.starts_with(kMagic)) {
      const std::string foreign = describe_foreign_content(content);
      fail(ErrorCategory::kBadFile, text(cursor_.path(), ": is ", foreign.empty() ? "no GGUF file" : foreign));
    }
    cursor_.bytes(kMagic.size(), "the magic number");
    const auto version = cursor_.number<std::uint32_t>("the version");
    check_supported(version == 0 || (version & 0xffff) != 0, cursor_.path(),
                    ": is a big-endian GGUF file; supported are little-endian ones");
    check_supported(version == 2 || version == 3, cursor_.path(), ": is a GGUF file of version ", version,
                    "; supported: 2, 3. Convert the model again, or get a newer file");
  }

  [[noreturn]] void fail_tensor(const std::string& name, const std::string& what) const {
    fail(ErrorCategory::kBadFile, text(cursor_.path(), ": tensor ", quoted_name(name), ": ", what));
  }

  void read_tensor_info() {
    GgufTensor tensor;
    tensor.name = cursor_.string("the name of a tensor");
    if (tensor.name.empty() || tensor.name.size() > kMaxNameBytes) {
      fail_tensor(tensor.name, text("its name has ", tensor.name.size(), " bytes; expected 1 to ", kMaxNameBytes));
    }
    if (!names_.insert(tensor.name).second) fail_tensor(tensor.name, "is there twice");
    const auto dimensions = cursor_.number<std::uint32_t>("the dimensions of a tensor");
    if (dimensions > kMaxDimensions) {
      fail_tensor(tensor.name, text("has ", dimensions, " dimensions; at most ", kMaxDimensions, " are allowed"));
    }
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      const auto extent = cursor_.number<std::uint64_t>("the shape of a tensor");
      if (extent == 0 || extent > std::uint64_t{kMaxSize}) {
        fail_tensor(tensor.name, text("has an extent of ", extent, "; expected at least 1"));
      }
      tensor.shape.insert(tensor.shape.begin(), static_cast<std::int64_t>(extent));
    }
    const auto type = cursor_.number<std::uint32_t>("the type of a tensor");
    offsets_.push_back(cursor_.number<std::uint64_t>("the offset of a tensor"));
    set_type(tensor, type);
    part_.tensors.push_back(std::move(tensor));
  }

  void set_type(GgufTensor& tensor, std::uint32_t type) const {
    tensor.type = type_name(type);
    tensor.blocks = find_block_format(type);
    const auto* const plain =
        std::find_if(std::begin(kPlainTypes), std::end(kPlainTypes), [&](const PlainType& t) { return t.id == type; });
    if (plain != std::end(kPlainTypes)) tensor.dtype = plain->dtype;
    if (tensor.blocks == nullptr && plain == std::end(kPlainTypes)) return;  // of a size that nobody knows here

    std::int64_t elements = 1;
    for (const std::int64_t extent : tensor.shape) {
      if (__builtin_mul_overflow(elements, extent, &elements)) fail_tensor(tensor.name, "is too large");
    }
    const std::int64_t width = tensor.shape.empty() ? 1 : tensor.shape.back();
    const std::int64_t values = tensor.blocks == nullptr ? 1 : tensor.blocks->values;
    if (width % values != 0) {
      fail_tensor(tensor.name, text("its rows have ", width, " values, no multiple of the ", values, " of a block of ",
                                    tensor.type));
    }
    const std::int64_t unit =
        tensor.blocks == nullptr ? static_cast<std::int64_t>(dtype_size(tensor.dtype)) : tensor.blocks->bytes;
    std::int64_t bytes = 0;
    if (__builtin_mul_overflow(elements / values, unit, &bytes)) fail_tensor(tensor.name, "is too large");
    tensor.bytes = static_cast<std::size_t>(bytes);
  }

  // Where the values lie: behind the header, each tensor at a multiple of the alignment, and none inside another.
  void place_tensors() {
    const auto alignment =
        static_cast<std::uint64_t>(part_.metadata.integer("general.alignment", 8, 1 << 20).value_or(kDefaultAlignment));
    if ((alignment & (alignment - 1)) != 0) {
      fail_field(cursor_.path(), "general.alignment", alignment, "a power of two");
    }
    const std::uint64_t begin = (cursor_.position() + alignment - 1) / alignment * alignment;
    const std::uint64_t size = begin < map_->size() ? map_->size() - begin : 0;
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < part_.tensors.size(); ++i) {
      GgufTensor& tensor = part_.tensors[i];
      if (offsets_[i] % alignment != 0) {
        fail_tensor(tensor.name, text("its offset is ", offsets_[i], ", no multiple of the alignment, ", alignment));
      }
      if (tensor.bytes == 0) continue;
      if (offsets_[i] > size || tensor.bytes > size - offsets_[i]) {
        fail_tensor(tensor.name, text(tensor.bytes, " bytes at offset ", offsets_[i], " do not lie in the ", size,
                                      " bytes of data that the file has: it is cut off"));
      }
      tensor.data = map_->data() + begin + offsets_[i];
      order.push_back(i);
    }
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return offsets_[a] < offsets_[b]; });
    for (std::size_t i = 1; i < order.size(); ++i) {
      const GgufTensor &before = part_.tensors[order[i - 1]], &tensor = part_.tensors[order[i]];
      if (offsets_[order[i - 1]] + before.bytes > offsets_[order[i]]) {
        fail_tensor(tensor.name, text("begins inside of ", quoted_name(before.name)));
      }
    }
  }

  std::shared_ptr<const MappedFile> map_;
  Cursor cursor_;
  GgufPart part_;
  std::vector<std::uint64_t> offsets_;
  std::set<std::string> names_;
};

}  // namespace

GgufPart open_gguf_part(const std::string& path) { return PartReader(path).read(); }

}  // namespace tca::runtime
