#include "runtime/gguf/block_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace tca::runtime {
namespace {

const BlockFormat& format(const std::string& name) {
  for (const BlockFormat& known : block_formats()) {
    if (name == known.name) return known;
  }
  throw std::out_of_range(name);
}

std::vector<float> read(const std::string& name, std::vector<unsigned char> block) {
  const BlockFormat& known = format(name);
  block.resize(static_cast<std::size_t>(known.bytes));
  std::vector<float> values(static_cast<std::size_t>(known.values));
  known.read(reinterpret_cast<const std::byte*>(block.data()), 1, values.data());
  return values;
}

// fp16 of 1 and of 0.5.
constexpr unsigned char kOne[] = {0x00, 0x3c}, kHalf[] = {0x00, 0x38};

TEST(BlockFormat, EveryTypeHasANumberOfItsOwn) {
  std::set<std::uint32_t> ids;
  for (const BlockFormat& known : block_formats()) {
    EXPECT_TRUE(ids.insert(known.id).second) << known.name;
    EXPECT_EQ(find_block_format(known.id), &known);
    EXPECT_EQ(known.bytes_of(3 * known.values), 3 * known.bytes);
  }
  EXPECT_EQ(ids.size(), 13u);
  EXPECT_EQ(find_block_format(0), nullptr);   // F32
  EXPECT_EQ(find_block_format(16), nullptr);  // IQ2_XXS
}

TEST(BlockFormat, SmallBlocksByHand) {
  std::vector<float> values = read("Q4_0", {kOne[0], kOne[1], 0x0f, 0xf0});
  EXPECT_EQ(values[0], 7);  // 15 - 8
  EXPECT_EQ(values[1], -8);
  EXPECT_EQ(values[16], -8);
  EXPECT_EQ(values[17], 7);
  values = read("Q4_1", {kOne[0], kOne[1], kHalf[0], kHalf[1], 0x21});
  EXPECT_EQ(values[0], 1.5f);
  EXPECT_EQ(values[16], 2.5f);
  values = read("Q8_0", {kHalf[0], kHalf[1], 0x80, 0x7f});
  EXPECT_EQ(values[0], -64);
  EXPECT_EQ(values[1], 63.5f);
  values = read("Q5_0", {kOne[0], kOne[1], 0x01, 0x00, 0x01, 0x00, 0x21});  // fifth bits of values 0 and 16
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[16], 2);
  EXPECT_EQ(values[1], -16);
  values = read("IQ4_NL", {kOne[0], kOne[1], 0xf8});
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[16], 113);
  values = read("MXFP4", {128, 0x97});  // 2^1, its half times the doubled levels
  EXPECT_EQ(values[0], 12);
  EXPECT_EQ(values[16], -1);
}

TEST(BlockFormat, SubnormalScalesOfMxfp4) {
  EXPECT_EQ(read("MXFP4", {0, 0x01})[0], std::ldexp(1.0f, -128));
  EXPECT_EQ(read("MXFP4", {1, 0x01})[0], std::ldexp(1.0f, -127));
  EXPECT_EQ(read("MXFP4", {2, 0x01})[0], std::ldexp(1.0f, -126));
}

TEST(BlockFormat, LargeBlocksOfOneGroupByHand) {
  std::vector<unsigned char> q6(210);
  q6[208] = kOne[0];
  q6[209] = kOne[1];
  q6[192] = 2;     // the scale of the first 16 values
  q6[0] = 0x05;    // low nibble
  q6[128] = 0x03;  // high pair
  EXPECT_EQ(read("Q6_K", q6)[0], 2.0f * (0x35 - 32));
  EXPECT_EQ(read("Q6_K", q6)[1], 2.0f * -32);
  EXPECT_EQ(read("Q6_K", q6)[16], 0);

  std::vector<unsigned char> q4(144);
  q4[0] = kOne[0];
  q4[1] = kOne[1];
  q4[2] = kHalf[0];
  q4[3] = kHalf[1];
  q4[4] = 3;  // scale of the first group
  q4[8] = 4;  // its minimum, times a half
  q4[16] = 0x0f;
  EXPECT_EQ(read("Q4_K", q4)[0], 3 * 15 - 2);
  EXPECT_EQ(read("Q4_K", q4)[1], -2);
  EXPECT_EQ(read("Q4_K", q4)[32], 0);
}

}  // namespace
}  // namespace tca::runtime
