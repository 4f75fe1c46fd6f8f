#include "runtime/gguf/gguf_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>

#include "core/expect_error.h"
#include "core/temporary_folder.h"
#include "gguf/gguf_builder.h"
#include "io/write_file.h"

namespace tca::runtime {
namespace {

using testing::expect_error;
using testing::GgufBuilder;
using testing::write_file;

constexpr std::uint32_t kF32 = 0, kQ8 = 8;
constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

class GgufFileTest : public ::testing::Test {
 protected:
  std::string write(const std::string& bytes, const std::string& name = "m.gguf") {
    write_file(folder_.file(name), bytes);
    return folder_.file(name);
  }
  void expect_bad(const std::string& bytes, const std::string& part, ErrorCategory category = ErrorCategory::kBadFile) {
    const std::string path = write(bytes);
    expect_error(category, part, [&] { GgufFile::open(path); });
  }
  testing::TemporaryFolder folder_;
};

TEST_F(GgufFileTest, ReadsKeysAndTensorsOfBothVersions) {
  for (const std::uint32_t version : {2u, 3u}) {
    GgufBuilder builder(version);
    builder.u32("n", 7).f32("f", 1e-5f).boolean("b", true).string("s", "text").strings("list", {"a", "", "c"});
    builder.array<std::int32_t>("same", 5, {4, 4}).array<float>("floats", 6, {1, 2.5f});
    builder.tensor("a", {2, 3}, kF32, testing::floats({1, 2, 3, 4, 5, 6}));
    builder.tensor("q", {32, 2}, kQ8, std::string(68, '\1'));
    builder.info("odd", {256}, 16, 0);
    const GgufFile file = GgufFile::open(write(builder.bytes()));
    const Metadata& metadata = file.metadata();
    EXPECT_EQ(metadata.integer("n", 0, 10), 7);
    EXPECT_EQ(metadata.number("f"), 1e-5);  // not 9.99999974737875e-06
    EXPECT_EQ(metadata.boolean("b"), true);
    EXPECT_EQ(metadata.string("s"), "text");
    EXPECT_EQ(metadata.strings("list"), (std::vector<std::string_view>{"a", "", "c"}));
    EXPECT_EQ(metadata.integer("same", 0, 10), 4);
    EXPECT_EQ(metadata.floats("floats"), (std::vector<float>{1, 2.5f}));
    EXPECT_FALSE(metadata.string("none").has_value());
    EXPECT_EQ(metadata.keys("f"), (std::vector<std::string>{"f", "floats"}));

    const GgufTensor* const a = file.find("a");
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(a->shape, (std::vector<std::int64_t>{3, 2}));  // the innermost extent last
    EXPECT_EQ(a->type, "F32");
    EXPECT_EQ(a->bytes, 24u);
    float last = 0;
    std::memcpy(&last, a->data + 20, sizeof(last));
    EXPECT_EQ(last, 6);
    EXPECT_EQ(file.find("q")->bytes, 68u);
    EXPECT_STREQ(file.find("q")->blocks->name, "Q8_0");
    EXPECT_EQ(file.find("odd")->type, "IQ2_XXS");
    EXPECT_EQ(file.find("odd")->data, nullptr);
    EXPECT_EQ(file.find("none"), nullptr);
    EXPECT_EQ(file.fingerprint().size(), 64u);
  }
}

TEST_F(GgufFileTest, ValuesOfOtherTypesThanAreAskedForAreNamed) {
  GgufBuilder builder;
  builder.u32("n", 7).string("s", "text").array<std::int32_t>("layers", 5, {4, 5}).array<float>("none", 6, {});
  builder.add("big", 10, GgufBuilder::raw(kHuge)).string("broken", "\xff");
  const GgufFile file = GgufFile::open(write(builder.bytes()));
  const Metadata& metadata = file.metadata();
  const auto bad = [](const std::string& part, const std::function<void()>& get) {
    expect_error(ErrorCategory::kBadFile, part, get);
  };
  bad("n is 7; expected an integer in [8, 9]", [&] { metadata.integer("n", 8, 9); });
  bad("s is of type string; expected an integer", [&] { metadata.integer("s", 0, 9); });
  bad("n is of type u32; expected a text", [&] { metadata.string("n"); });
  bad("n is of type u32; expected a bool", [&] { metadata.boolean("n"); });
  bad("s is of type string; expected a number", [&] { metadata.number("s"); });
  bad("layers is an array of 2 i32; expected an array of texts", [&] { metadata.strings("layers"); });
  bad("layers is an array of 2 i32; expected an array of f32", [&] { metadata.floats("layers"); });
  bad("none is an array of 0 f32; expected an integer", [&] { metadata.integer("none", 0, 9); });
  bad("big is 18446744073709551615", [&] { metadata.integer("big", 0, 9); });
  bad("missing is missing from the metadata", [&] { metadata.needed_integer("missing", 0, 9); });
  bad("which is not valid UTF-8", [&] { metadata.string("broken"); });
  expect_error(ErrorCategory::kUnsupported, "layers is 4 and 5 for different layers",
               [&] { metadata.integer("layers", 0, 9); });
}

TEST_F(GgufFileTest, OtherFilesAndVersionsAreNamed) {
  expect_bad("", "is empty");
  expect_bad("PK\x03\x04", "a ZIP archive");
  expect_bad("some text", "is no GGUF file");
  expect_bad(GgufBuilder(1).bytes(), "is a GGUF file of version 1; supported: 2, 3", ErrorCategory::kUnsupported);
  expect_bad(GgufBuilder(4).bytes(), "of version 4", ErrorCategory::kUnsupported);
  expect_bad(GgufBuilder(0x03000000).bytes(), "is a big-endian GGUF file", ErrorCategory::kUnsupported);
}

TEST_F(GgufFileTest, EveryCutIsNoticed) {
  GgufBuilder builder;
  builder.u32("n", 7).strings("list", {"a", "bc"});
  builder.tensor("a", {2, 3}, kF32, testing::floats({1, 2, 3, 4, 5, 6}));
  const std::string whole = builder.bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string path = write(whole.substr(0, size));
    EXPECT_THROW(GgufFile::open(path), Error) << size;
  }
}

TEST_F(GgufFileTest, SizesOfNoSenseAreRefusedWithoutTakingMemory) {
  const auto raw = [](std::uint64_t value) { return GgufBuilder::raw(value); };
  expect_bad("GGUF" + GgufBuilder::raw<std::uint32_t>(3) + raw(kHuge) + raw(0), "the file has only 0 after it");
  expect_bad("GGUF" + GgufBuilder::raw<std::uint32_t>(3) + raw(0) + raw(kHuge), "the file has only 0 after it");
  const auto pair = [](std::uint32_t type, const std::string& value) {
    return GgufBuilder().add("k", type, value).bytes();
  };
  expect_bad(pair(8, raw(kHuge)), "takes 18446744073709551615 bytes");
  expect_bad(pair(8, raw(kHuge / 2)), "it is cut off");
  expect_bad(pair(13, raw(0)), "a value of type 13");
  const auto array = [&](std::uint32_t type, std::uint64_t count) {
    return pair(9, GgufBuilder::raw(type) + raw(count));
  };
  expect_bad(array(4, kHuge), "it is cut off");
  expect_bad(array(4, kHuge / 4 + 2), "it is cut off");
  expect_bad(array(8, kHuge), "it is cut off");
  expect_bad(array(9, kHuge), "it is cut off");
  std::string deep;
  for (int i = 0; i < 50; ++i) deep += GgufBuilder::raw<std::uint32_t>(9) + raw(1);
  expect_bad(pair(9, deep), "nest too deeply", ErrorCategory::kUnsupported);
  expect_bad(GgufBuilder().u32("k", 1).u32("k", 1).bytes(), R"(the metadata has "k" twice)");
  expect_bad(GgufBuilder().u32("", 1).bytes(), "a key of the metadata has 0 bytes");
}

TEST_F(GgufFileTest, TensorsThatDoNotFitAreNamed) {
  const auto one = [](const std::vector<std::uint64_t>& extents, std::uint32_t type, std::uint64_t offset,
                      std::string_view data = std::string_view()) {
    return GgufBuilder()
               .tensor("first", {8}, kF32, testing::floats(std::vector<float>(8)))
               .info("t", extents, type, offset)
               .bytes() +
           std::string(data);
  };
  expect_bad(one({0}, kF32, 0), R"(tensor "t": has an extent of 0)");
  expect_bad(one({kHuge}, kF32, 0), "has an extent of 18446744073709551615");
  expect_bad(one({1, 1, 1, 1, 1}, kF32, 0), "has 5 dimensions");
  expect_bad(one({std::uint64_t{1} << 40, std::uint64_t{1} << 40}, kF32, 0), "is too large");
  expect_bad(one({std::uint64_t{1} << 62}, kF32, 0), "is too large");
  expect_bad(one({33}, kQ8, 0), "its rows have 33 values, no multiple of the 32 of a block of Q8_0");
  expect_bad(one({4}, kF32, 4), "its offset is 4, no multiple of the alignment, 32");
  expect_bad(one({4}, kF32, 32), "16 bytes at offset 32 do not lie in the 32 bytes of data");
  expect_bad(one({4}, kF32, std::uint64_t{1} << 63), "it is cut off");
  expect_bad(one({4}, kF32, 0), R"("t": begins inside of "first")");
  expect_bad(GgufBuilder().tensor("t", {1}, kF32, "1234").info("t", {1}, kF32, 32).bytes(), "is there twice");
  expect_bad(GgufBuilder().info("", {1}, kF32, 0).bytes(), "its name has 0 bytes");
  expect_bad(GgufBuilder().u32("general.alignment", 24).bytes(), "general.alignment is 24; expected a power of two");
  expect_bad(GgufBuilder().u32("general.alignment", 1).bytes(), "general.alignment is 1");
}

TEST_F(GgufFileTest, PartsAreReadTogether) {
  const auto part = [](std::uint32_t number, std::uint32_t count, std::uint32_t tensors, const char* name) {
    GgufBuilder builder;
    builder.u32("split.no", number).u32("split.count", count).u32("split.tensors.count", tensors);
    return builder.tensor(name, {1}, kF32, "1234").bytes();
  };
  const std::string first = write(part(0, 2, 2, "a"), "m-00001-of-00002.gguf");
  expect_error(ErrorCategory::kIo, "m-00002-of-00002.gguf: missing", [&] { GgufFile::open(first); });
  const std::string second = write(part(1, 2, 2, "b"), "m-00002-of-00002.gguf");
  for (const std::string& path : {first, second}) {
    const GgufFile file = GgufFile::open(path);
    EXPECT_EQ(file.parts().size(), 2u);
    EXPECT_NE(file.find("a"), nullptr);
    EXPECT_NE(file.find("b"), nullptr);
  }
  EXPECT_EQ(part_names(second), (std::vector<std::string>{first, second}));
  EXPECT_EQ(find_gguf(folder_.file("")), first);
  write(part(0, 2, 2, "b"), "m-00002-of-00002.gguf");
  expect_error(ErrorCategory::kBadFile, "split.no is 0; its name says 1", [&] { GgufFile::open(first); });
  write(part(1, 3, 2, "b"), "m-00002-of-00002.gguf");
  expect_error(ErrorCategory::kBadFile, "split.count is 3", [&] { GgufFile::open(first); });
  write(part(1, 2, 2, "a"), "m-00002-of-00002.gguf");
  expect_error(ErrorCategory::kBadFile, R"(tensor "a" is in two parts)", [&] { GgufFile::open(first); });
  write(part(1, 2, 9, "b"), "m-00002-of-00002.gguf");
  write(part(0, 2, 3, "a"), "m-00001-of-00002.gguf");
  expect_error(ErrorCategory::kBadFile, "split.tensors.count is 3, but the parts hold 2",
               [&] { GgufFile::open(first); });
  const std::string alone = write(part(0, 2, 2, "a"), "renamed.gguf");
  expect_error(ErrorCategory::kBadFile, "split.count is 2, but its name says 1 part", [&] { GgufFile::open(alone); });
}

TEST_F(GgufFileTest, AFolderStandsForItsOnlyFile) {
  EXPECT_EQ(find_gguf(folder_.file("")), "");
  EXPECT_EQ(find_gguf("/nowhere"), "");
  const std::string path = write(GgufBuilder().bytes());
  EXPECT_EQ(find_gguf(path), path);
  EXPECT_EQ(std::filesystem::path(find_gguf(folder_.file(""))).filename(), "m.gguf");
  write(GgufBuilder().bytes(), "n.gguf");
  expect_error(ErrorCategory::kInvalidArgument,
               "holds several GGUF files; give one of them: ", [&] { find_gguf(folder_.file("")); });
  write("{}", "config.json");
  EXPECT_EQ(find_gguf(folder_.file("")), "");  // a checkpoint
  EXPECT_FALSE(is_gguf_file(folder_.file("config.json")));
  EXPECT_FALSE(is_gguf_file(folder_.file("")));
}

}  // namespace
}  // namespace tca::runtime
