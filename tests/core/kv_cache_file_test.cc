// Saved KV caches: what comes back, and what damaged, forged and oversized files do.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>

#include "core/check.h"
#include "core/checksum.h"
#include "core/expect_error.h"
#include "core/file.h"
#include "core/kv_model.h"
#include "core/temporary_folder.h"

namespace tca {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

constexpr KvShape kShape = {.num_layers = 2, .num_kv_heads = 2, .head_dim = 4, .dtype = DType::kF16};
constexpr std::size_t kMaxFile = 1 << 22;
const std::string kMetadata = "some text";

// Offsets in a file, as kv_cache_file.cc describes it.
constexpr std::size_t kVersionAt = 8, kDTypeAt = 12, kLayoutAt = 16, kLayersAt = 20, kHeadsAt = 24, kDimAt = 28;
constexpr std::size_t kMetadataBytesAt = 32, kFileBytesAt = 40, kMetadataAt = 48;
const std::size_t kIndexAt = kMetadataAt + kMetadata.size();
const std::size_t kHeaderSumAt = kIndexAt + 80;  // 2 layers of one count and 2 x 2 numbers
const std::size_t kDataAt = kHeaderSumAt + 8;

std::uint64_t checksum_of(std::string_view data) {
  Checksum64 sum;
  sum.update(data.data(), data.size());
  return sum.value();
}

template <class T>
void put(std::string& file, std::size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof(value));
}

// Makes both checksums right again: a forger can do that too.
std::string with_sums(std::string file) {
  put(file, kHeaderSumAt, checksum_of(std::string_view(file).substr(0, kHeaderSumAt)));
  put(file, file.size() - 8, checksum_of(std::string_view(file).substr(0, file.size() - 8)));
  return file;
}

class KvCacheFile : public ::testing::Test {
 protected:
  KvCacheFile() : pool_(KvPool::create(1 << 20, kShape.head_dim, kShape.dtype)), cache_(pool_, kShape) {
    std::mt19937 random(1);
    const testing::Rows rows(random, DType::kF32, 70, kShape.num_kv_heads, kShape.head_dim);
    const KeptSet kept = testing::random_kept(random, 70, kShape.num_kv_heads, 0.3);
    cache_.store(0, rows.view(), rows.view());
    cache_.store(1, rows.view(), rows.view(), &kept, 10);
    cache_.save(path(), kMetadata);
    good_ = read_file(path(), kMaxFile);
  }

  std::string path() const { return folder_.file("cache"); }

  KvCache load() const {
    return KvCache::load(path(), pool_, [](const KvShape&, const std::string&) {});
  }

  // The content is refused with a message that names the path and `named`, and takes no pages.
  void refuse(const std::string& content, const std::string& named,
              ErrorCategory category = ErrorCategory::kBadFile) const {
    std::ofstream(path(), std::ios::binary) << content;  // without the flush to disk of an atomic write
    const std::size_t before = pool_->used_bytes();
    expect_error(category, named, [&] { load(); });
    if (category == ErrorCategory::kBadFile) expect_error(category, path(), [&] { load(); });
    EXPECT_EQ(pool_->used_bytes(), before);
  }

  TemporaryFolder folder_;
  std::shared_ptr<KvPool> pool_;
  KvCache cache_;
  std::string good_;
};

TEST_F(KvCacheFile, LoadsWhatWasSaved) {
  bool asked = false;
  const std::size_t before = pool_->used_bytes();
  const KvCache loaded = KvCache::load(path(), pool_, [&](const KvShape& shape, const std::string& metadata) {
    asked = true;
    EXPECT_EQ(shape, kShape);
    EXPECT_EQ(metadata, kMetadata);
    EXPECT_EQ(pool_->used_bytes(), before) << "no page before the file is accepted";
  });
  EXPECT_TRUE(asked);
  EXPECT_EQ(pool_->used_bytes(), 2 * before);
  loaded.save(folder_.file("again"), kMetadata);
  EXPECT_EQ(read_file(folder_.file("again"), kMaxFile), good_);
}

TEST_F(KvCacheFile, EmptyCacheAndMetadataWithAnyBytes) {
  const std::string metadata("\0\xff\n", 3);
  KvCache(pool_, kShape).save(path(), metadata);
  const KvCache loaded =
      KvCache::load(path(), pool_, [&](const KvShape&, const std::string& found) { EXPECT_EQ(found, metadata); });
  EXPECT_EQ(loaded.bytes_used(), 0u);
}

TEST_F(KvCacheFile, AcceptMayRefuse) {
  const std::size_t before = pool_->used_bytes();
  EXPECT_THROW(KvCache::load(path(), pool_, [](const KvShape&, const std::string&) { throw 7; }), int);
  EXPECT_EQ(pool_->used_bytes(), before);
}

TEST_F(KvCacheFile, AnotherPoolsShapeIsRefused) {
  const auto load_into = [&](std::shared_ptr<KvPool> pool) { KvCache::load(path(), std::move(pool), nullptr); };
  expect_error(ErrorCategory::kInvalidArgument, "dtype is fp16; the KV pool's is bf16",
               [&] { load_into(KvPool::create(1 << 20, 4, DType::kBF16)); });
  expect_error(ErrorCategory::kInvalidArgument, "head_dim is 4; the KV pool's is 8",
               [&] { load_into(KvPool::create(1 << 20, 8, DType::kF16)); });
  expect_error(ErrorCategory::kOutOfBudget, "bytes free",
               [&] { load_into(KvPool::create(5 * pool_->page_bytes(), 4, DType::kF16)); });
}

TEST_F(KvCacheFile, EveryTruncationIsRefused) {
  for (std::size_t length = 0; length < good_.size(); length += length < kDataAt + 300 ? 1 : 97) {
    SCOPED_TRACE(length);
    refuse(good_.substr(0, length), "");
  }
  refuse(good_ + "x", "its header says");
}

TEST_F(KvCacheFile, EveryFlippedBitIsRefused) {
  for (std::size_t i = 0; i < good_.size(); i += i < kDataAt + 300 ? 1 : 31) {
    SCOPED_TRACE(i);
    std::string changed = good_;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    refuse(changed, "");
  }
}

TEST_F(KvCacheFile, AFlippedValueBitIsSeenByTheChecksum) {
  std::string changed = good_;
  changed[changed.size() - 20] ^= 1;
  refuse(changed, "the checksum of the data does not match");
  changed = good_;
  changed[kMetadataAt] ^= 1;
  refuse(changed, "the checksum of the header does not match");
}

// Forged files, checksums and all.
TEST_F(KvCacheFile, HugeCountsAreRefusedBeforeMemoryIsTaken) {
  const auto forge = [&](const std::string& named, std::size_t at, auto value) {
    SCOPED_TRACE(named);
    std::string changed = good_;
    put(changed, at, value);
    refuse(with_sums(changed), named);
  };
  forge("not a saved KV cache", 0, 'T');
  forge("version is 2; this library reads 1", kVersionAt, 2u);
  forge("dtype is 3", kDTypeAt, 3u);
  forge("layout is 4294967295", kLayoutAt, UINT32_MAX);
  forge("num_layers is 0", kLayersAt, 0u);
  forge("num_layers is 4294967295", kLayersAt, UINT32_MAX);
  forge("too short for 4096 x 2 heads", kLayersAt, 4096u);
  forge("num_kv_heads is 0", kHeadsAt, 0u);
  forge("too short for 2 x 4096 heads", kHeadsAt, 4096u);
  forge("head_dim is 65537", kDimAt, 65537u);
  forge("which do not make", kDimAt, 8u);
  forge("metadata_bytes is 18446744073709551615", kMetadataBytesAt, UINT64_MAX);
  forge("ends too early", kMetadataBytesAt, good_.size());
  forge("its header says 18446744073709551615", kFileBytesAt, UINT64_MAX);
  forge("layer 0: num_tokens is 2147483648", kIndexAt, std::uint64_t{1} << 31);
  forge("layer 0: length is 70; expected 0 to 69", kIndexAt, std::uint64_t{69});
  forge("layer 0: length is 18446744073709551615", kIndexAt + 8, UINT64_MAX);
  forge("layer 0: tail_begin is 71; expected 0 to 70", kIndexAt + 16, std::uint64_t{71});
  forge("which do not make", kIndexAt + 8, std::uint64_t{69});
  forge("position -1 follows -1", kDataAt, std::int32_t{-1});
  forge("position 1 follows 5", kDataAt, std::int32_t{5});
  forge("position 70 follows -1; expected ascending positions below 70", kDataAt, std::int32_t{70});
}

TEST_F(KvCacheFile, AnIndexWhoseBytesWrapAroundIsRefused) {
  // The fewest tokens of the largest rows whose bytes pass 2^64; what is left of them then is what the file has.
  constexpr std::uint64_t kTokenBytes = 4 + 2 * 65536 * sizeof(float);
  constexpr std::uint32_t kLayers = 5, kHeads = 4096;
  std::uint64_t tokens = UINT64_MAX / kTokenBytes + 1;
  const std::uint64_t data_bytes = tokens * kTokenBytes;  // mod 2^64: below kTokenBytes
  std::string forged = good_.substr(0, kMetadataAt);
  const auto append = [&](std::uint64_t value) {
    forged.append(8, '\0');
    put(forged, forged.size() - 8, value);
  };
  for (std::uint32_t l = 0; l < kLayers; ++l) {
    append(INT32_MAX);
    for (std::uint32_t h = 0; h < kHeads; ++h) {
      const std::uint64_t length = std::min<std::uint64_t>(tokens, INT32_MAX);
      append(length);
      append(0);
      tokens -= length;
    }
  }
  ASSERT_EQ(tokens, 0u);
  put(forged, kDTypeAt, 0u);
  put(forged, kLayersAt, kLayers);
  put(forged, kHeadsAt, kHeads);
  put(forged, kDimAt, 65536u);
  put(forged, kMetadataBytesAt, std::uint64_t{0});
  put(forged, kFileBytesAt, forged.size() + 16 + data_bytes);
  append(checksum_of(forged));
  forged.append(data_bytes + 8, '\0');
  refuse(forged, "which do not make");
}

TEST_F(KvCacheFile, AHugeButConsistentIndexIsOverBudgetAtOnce) {
  // A sparse file of the size that the forged index asks for.
  const std::uint64_t tokens = 100'000'000;
  std::string changed = good_.substr(0, kDataAt);
  put(changed, kIndexAt, tokens);
  put(changed, kIndexAt + 8, tokens);
  const std::uint64_t bytes = good_.size() + (tokens - 70) * (4 + 2 * 8);
  put(changed, kFileBytesAt, bytes);
  put(changed, kHeaderSumAt, checksum_of(std::string_view(changed).substr(0, kHeaderSumAt)));
  write_file_atomically(path(), changed);
  ASSERT_EQ(::truncate(path().c_str(), static_cast<off_t>(bytes)), 0);
  const std::size_t before = pool_->used_bytes();
  expect_error(ErrorCategory::kOutOfBudget, "bytes free", [&] { load(); });
  EXPECT_EQ(pool_->used_bytes(), before);
}

TEST_F(KvCacheFile, WhatIsNoFileIsAnIoError) {
  const auto load_from = [&](const std::string& from) { KvCache::load(from, pool_, nullptr); };
  expect_error(ErrorCategory::kIo, "missing", [&] { load_from(folder_.file("missing")); });
  expect_error(ErrorCategory::kIo, "/dev/zero", [&] { load_from("/dev/zero"); });
  expect_error(ErrorCategory::kIo, folder_.file(""), [&] { load_from(folder_.file("")); });
}

TEST_F(KvCacheFile, AFullDiskLeavesTheOldFile) {
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit limit = {good_.size() / 2, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  expect_error(ErrorCategory::kIo, path(), [&] { cache_.save(path(), kMetadata); });
  expect_error(ErrorCategory::kIo, folder_.file("new"), [&] { cache_.save(folder_.file("new"), kMetadata); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(folder_.num_entries(), 1u);
  EXPECT_EQ(read_file(path(), kMaxFile), good_);
}

}  // namespace
}  // namespace tca
