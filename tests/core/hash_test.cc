#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/checksum.h"
#include "core/sha256.h"

namespace tca {
namespace {

// Digests of FIPS 180-4's examples, and of lengths around the padding's edges.
TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(55, 'a')), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(sha256_hex(std::string(56, 'a')), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
  EXPECT_EQ(sha256_hex(std::string(64, 'a')), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesMakeTheWhole) {
  const std::string data(1000, 'x');
  for (const std::size_t piece : {1u, 7u, 63u, 64u, 65u, 200u}) {
    Sha256 hash;
    for (std::size_t at = 0; at < data.size(); at += piece) hash.update(std::string_view(data).substr(at, piece));
    EXPECT_EQ(hash.finish_hex(), sha256_hex(data)) << piece;
  }
}

std::uint64_t checksum_of(const std::string& data) {
  Checksum64 sum;
  sum.update(data.data(), data.size());
  return sum.value();
}

TEST(Checksum64, PiecesMakeTheWhole) {
  const std::string data = "The quick brown fox jumps over the lazy dog, and back again, twice as far.";
  for (std::size_t piece = 1; piece <= data.size(); ++piece) {
    Checksum64 sum;
    for (std::size_t at = 0; at < data.size(); at += piece) {
      sum.update(data.data() + at, std::min(piece, data.size() - at));
      static_cast<void>(sum.value());  // asking does not disturb
    }
    EXPECT_EQ(sum.value(), checksum_of(data)) << piece;
  }
}

TEST(Checksum64, EveryFlippedBitAndEveryLengthCounts) {
  std::set<std::uint64_t> seen;
  std::string data;
  for (int length = 0; length < 100; ++length, data += '\0') EXPECT_TRUE(seen.insert(checksum_of(data)).second);
  for (std::size_t bit = 0; bit < 8 * data.size(); ++bit) {
    std::string flipped = data;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_TRUE(seen.insert(checksum_of(flipped)).second) << bit;
  }
}

}  // namespace
}  // namespace tca
