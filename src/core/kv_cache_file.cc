// Saved KV caches. All numbers are little-endian:
//   header    FileHeader
//   metadata  metadata_bytes of the caller's text
//   index     per layer: u64 num_tokens, then per KV head: u64 length, u64 tail_begin
//   u64       Checksum64 of everything so far
//   data      per layer and KV head, page by page (the last one in part): i32 positions, K rows, V rows
//   u64       Checksum64 of everything so far
// The index comes first so that a file is refused by its size before memory is taken for it.
#include <algorithm>
#include <array>
#include <bit>

#include "core/check.h"
#include "core/checksum.h"
#include "core/file.h"
#include "core/file_kind.h"
#include "core/kv_cache_impl.h"

namespace tca {
namespace {

static_assert(std::endian::native == std::endian::little, "the file format is written as it lies in memory");

constexpr std::array<char, 8> kMagic = {'t', 'c', 'a', '-', 'k', 'v', 'c', '\n'};
constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kMaxMetadataBytes = std::uint64_t{1} << 30;

struct FileHeader {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t dtype = 0;
  std::uint32_t layout = 0;  // PageLayout::kRows, wherever the pages lay
  std::uint32_t num_layers = 0;
  std::uint32_t num_kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint64_t metadata_bytes = 0;
  std::uint64_t file_bytes = 0;
};
static_assert(sizeof(FileHeader) == 48);

class Writer {
 public:
  explicit Writer(const std::string& path) : file_(path) {}
  void put(const void* data, std::size_t size) {
    checksum_.update(data, size);
    file_.write(data, size);
  }
  void put_u64(std::uint64_t value) { put(&value, sizeof(value)); }
  void put_checksum() { put_u64(checksum_.value()); }
  void commit() { file_.commit(); }

 private:
  AtomicFileWriter file_;
  Checksum64 checksum_;
};

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_(path) {}
  std::uint64_t file_bytes() const { return file_.size(); }
  void get(void* data, std::size_t size) {
    file_.read(data, size);
    checksum_.update(data, size);
  }
  std::uint64_t get_u64() {
    std::uint64_t value = 0;
    get(&value, sizeof(value));
    return value;
  }
  void check_checksum(const char* part) {
    const std::uint64_t expected = checksum_.value();
    if (get_u64() != expected) refuse("the checksum of the ", part, " does not match: the file is damaged");
  }
  template <class... T>
  [[noreturn]] void refuse(const T&... parts) const {
    fail(ErrorCategory::kBadFile, text("'", path_, "': ", parts...));
  }
  /// value, if it is in [min, max].
  std::uint64_t in_range(std::uint64_t value, const std::string& name, std::uint64_t min, std::uint64_t max) const {
    if (value < min || value > max) refuse(name, " is ", value, "; expected ", min, " to ", max);
    return value;
  }

 private:
  std::string path_;
  FileReader file_;
  Checksum64 checksum_;
};

std::uint64_t token_bytes(const KvPages& pages) { return sizeof(std::int32_t) + 2 * pages.row_bytes; }

std::uint64_t index_bytes(const KvShape& shape) {
  return sizeof(std::uint64_t) * static_cast<std::uint64_t>(shape.num_layers) *
         (1 + 2 * static_cast<std::uint64_t>(shape.num_kv_heads));
}

constexpr std::uint64_t kChecksumsBytes = 2 * sizeof(std::uint64_t);

FileHeader read_header(Reader& in) {
  FileHeader header;
  in.get(&header, sizeof(header));
  if (header.magic != kMagic) {
    const std::string foreign = describe_foreign_content({reinterpret_cast<const char*>(&header), sizeof(header)});
    in.refuse("not a saved KV cache", foreign.empty() ? "" : ", but ", foreign);
  }
  if (header.version != kVersion) in.refuse("version is ", header.version, "; this library reads ", kVersion);
  in.in_range(header.dtype, "dtype", 0, static_cast<std::uint64_t>(DType::kF16));
  in.in_range(header.layout, "layout", 0, static_cast<std::uint64_t>(PageLayout::kRows));
  in.in_range(header.num_layers, "num_layers", 1, kMaxKvLayers);
  in.in_range(header.num_kv_heads, "num_kv_heads", 1, kMaxKvHeads);
  in.in_range(header.head_dim, "head_dim", 1, kMaxKvHeadDim);
  if (header.file_bytes != in.file_bytes()) {
    in.refuse("the file has ", in.file_bytes(), " bytes, but its header says ", header.file_bytes);
  }
  in.in_range(header.metadata_bytes, "metadata_bytes", 0, std::min(kMaxMetadataBytes, header.file_bytes));
  return header;
}

KvShape shape_of(const FileHeader& header) {
  return {.num_layers = static_cast<std::int32_t>(header.num_layers),
          .num_kv_heads = static_cast<std::int32_t>(header.num_kv_heads),
          .head_dim = static_cast<std::int32_t>(header.head_dim),
          .dtype = static_cast<DType>(header.dtype)};
}

/// Lengths of a layer's lists, as stored: the lists have no pages yet.
struct LayerIndex {
  std::uint64_t num_tokens = 0;
  std::vector<std::uint64_t> lengths;      // [num_kv_heads]
  std::vector<std::uint64_t> tail_begins;  // [num_kv_heads]
};

std::vector<LayerIndex> read_index(Reader& in, const FileHeader& header) {
  // 2^12 layers, 2^12 heads and 2^31 tokens each make 2^55 tokens at most; with 2^19 bytes each they pass 64 bits.
  const KvShape shape = shape_of(header);
  const std::uint64_t fixed = sizeof(header) + header.metadata_bytes + index_bytes(shape) + kChecksumsBytes;
  if (fixed > header.file_bytes) in.refuse("too short for ", header.num_layers, " x ", header.num_kv_heads, " heads");
  std::uint64_t tokens = 0;
  std::vector<LayerIndex> layers(header.num_layers);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const std::string where = text("layer ", l, ": ");
    layers[l].num_tokens = in.in_range(in.get_u64(), where + "num_tokens", 0, INT32_MAX);
    for (std::uint32_t h = 0; h < header.num_kv_heads; ++h) {
      const std::uint64_t length = in.in_range(in.get_u64(), where + "length", 0, layers[l].num_tokens);
      layers[l].lengths.push_back(length);
      layers[l].tail_begins.push_back(in.in_range(in.get_u64(), where + "tail_begin", 0, length));
      tokens += length;
    }
  }
  const std::uint64_t row_bytes = header.head_dim * dtype_size(shape.dtype);
  const std::uint64_t token_bytes = sizeof(std::int32_t) + 2 * row_bytes, data_bytes = header.file_bytes - fixed;
  if (data_bytes % token_bytes != 0 || data_bytes / token_bytes != tokens) {
    in.refuse("its index lists ", tokens, " tokens, which do not make ", header.file_bytes, " bytes");
  }
  return layers;
}

/// Fills a list's pages. Kernels rely on positions that ascend and lie in the sequence.
void read_list(Reader& in, KvPages& pages, const KvList& list, std::int64_t num_tokens) {
  std::int64_t before = -1;
  std::vector<std::byte> rows(2 * kPageTokens * pages.row_bytes);
  for (std::size_t p = 0; p < list.pages.size(); ++p) {
    const auto count = static_cast<std::size_t>(list.tokens_in_page(p));
    std::int32_t* const positions = pages.positions(list.pages[p]);
    in.get(positions, count * sizeof(std::int32_t));
    for (std::size_t i = 0; i < count; ++i) {
      if (positions[i] <= before || positions[i] >= num_tokens) {
        in.refuse("position ", positions[i], " follows ", before, "; expected ascending positions below ", num_tokens);
      }
      before = positions[i];
    }
    const std::size_t half = count * pages.row_bytes;
    in.get(rows.data(), 2 * half);
    pages.write_rows(list.pages[p], static_cast<std::int64_t>(count), rows.data(), rows.data() + half);
  }
}

}  // namespace

void KvCache::save(const std::string& path, const std::string& metadata) const {
  check_argument(metadata.size() <= kMaxMetadataBytes, "metadata has ", metadata.size(), " bytes; at most ",
                 kMaxMetadataBytes, " are allowed");
  const Impl& impl = *impl_;
  KvPages& pages = *impl.pages;
  std::vector<std::byte> rows(2 * kPageTokens * pages.row_bytes);
  std::uint64_t tokens = 0;
  for (const KvList& list : impl.lists) tokens += static_cast<std::uint64_t>(list.length);
  const FileHeader header = {.dtype = static_cast<std::uint32_t>(impl.shape.dtype),
                             .num_layers = static_cast<std::uint32_t>(impl.shape.num_layers),
                             .num_kv_heads = static_cast<std::uint32_t>(impl.shape.num_kv_heads),
                             .head_dim = static_cast<std::uint32_t>(impl.shape.head_dim),
                             .metadata_bytes = metadata.size(),
                             .file_bytes = sizeof(FileHeader) + metadata.size() + index_bytes(impl.shape) +
                                           tokens * token_bytes(pages) + kChecksumsBytes};
  Writer out(path);
  out.put(&header, sizeof(header));
  out.put(metadata.data(), metadata.size());
  for (std::int32_t l = 0; l < impl.shape.num_layers; ++l) {
    out.put_u64(static_cast<std::uint64_t>(num_tokens(l)));
    for (std::int32_t h = 0; h < impl.shape.num_kv_heads; ++h) {
      out.put_u64(static_cast<std::uint64_t>(length(l, h)));
      out.put_u64(static_cast<std::uint64_t>(tail_begin(l, h)));
    }
  }
  out.put_checksum();
  for (const KvList& list : impl.lists) {
    for (std::size_t p = 0; p < list.pages.size(); ++p) {
      const auto count = static_cast<std::size_t>(list.tokens_in_page(p));
      out.put(pages.positions(list.pages[p]), count * sizeof(std::int32_t));
      const std::size_t half = count * pages.row_bytes;
      pages.read_rows(list.pages[p], static_cast<std::int64_t>(count), rows.data(), rows.data() + half);
      out.put(rows.data(), 2 * half);
    }
  }
  out.put_checksum();
  out.commit();
}

KvCache KvCache::load(const std::string& path, std::shared_ptr<KvPool> pool,
                      const std::function<void(const KvShape&, const std::string& metadata)>& accept) {
  Reader in(path);
  const FileHeader header = read_header(in);
  std::string metadata(header.metadata_bytes, '\0');
  in.get(metadata.data(), metadata.size());
  const std::vector<LayerIndex> layers = read_index(in, header);
  in.check_checksum("header");
  if (accept) accept(shape_of(header), metadata);

  auto impl = std::make_unique<Impl>(std::move(pool), shape_of(header));
  // All pages first: a budget that is too small is found out before the data is read.
  for (std::size_t i = 0; i < impl->lists.size(); ++i) {
    const LayerIndex& index = layers[i / header.num_kv_heads];
    const std::size_t head = i % header.num_kv_heads;
    KvList& list = impl->lists[i];
    list.pages = impl->pages->acquire(pages_for(static_cast<std::int64_t>(index.lengths[head])));
    list.length = static_cast<std::int64_t>(index.lengths[head]);
    list.tail_begin = static_cast<std::int64_t>(index.tail_begins[head]);
    // The file does not say when tokens were dropped: as far as truncate() may know, last of all.
    if (index.lengths[head] < index.num_tokens || index.tail_begins[head] > 0) {
      impl->settled[i / header.num_kv_heads] = static_cast<std::int64_t>(index.num_tokens);
    }
  }
  for (std::size_t i = 0; i < impl->lists.size(); ++i) {
    const std::size_t layer = i / header.num_kv_heads;
    impl->num_tokens[layer] = static_cast<std::int64_t>(layers[layer].num_tokens);
    read_list(in, *impl->pages, impl->lists[i], impl->num_tokens[layer]);
  }
  in.check_checksum("data");
  return KvCache(std::move(impl));
}

}  // namespace tca
