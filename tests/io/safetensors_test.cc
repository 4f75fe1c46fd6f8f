#include "runtime/io/safetensors.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "core/expect_error.h"
#include "core/half.h"
#include "core/sha256.h"
#include "core/temporary_folder.h"
#include "io/write_file.h"

namespace tca::runtime {
namespace {

using testing::expect_error;
using testing::safetensors;
using testing::write_file;

// Two small tensors: "a" fp32 [2, 2] and "b" bf16 [3].
constexpr const char* kHeader =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
    R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}})";

std::string data_of_header() {
  const float a[4] = {1, -2, 3.5f, 0.25f};
  const std::uint16_t b[3] = {float_to_bf16(7), float_to_bf16(-8), float_to_bf16(0.5f)};
  std::string data(22, '\0');
  std::memcpy(data.data(), a, 16);
  std::memcpy(data.data() + 16, b, 6);
  return data;
}

class SafetensorsTest : public ::testing::Test {
 protected:
  std::string dir() const { return folder_.file(""); }
  void write(const std::string& name, std::string_view bytes) { write_file(folder_.file(name), bytes); }
  void write_model(std::string_view bytes) { write("model.safetensors", bytes); }
  void expect_bad(const std::string& header, std::string_view data, const std::string& part) {
    write_model(safetensors(header, data));
    expect_error(ErrorCategory::kBadFile, part, [&] { Checkpoint::open(dir()); });
  }
  // One tensor "t" that is described like this, over `bytes` bytes of data.
  void expect_bad_tensor(const std::string& description, std::size_t bytes, const std::string& part) {
    expect_bad(R"({"t":)" + description + "}", std::string(bytes, 'x'), part);
  }

 private:
  testing::TemporaryFolder folder_;
};

TEST_F(SafetensorsTest, ReadsValuesShapesAndTypes) {
  write_model(safetensors(kHeader, data_of_header()));
  const Checkpoint checkpoint = Checkpoint::open(dir());
  const StoredTensor& a = checkpoint.get("a", {2, 2});
  EXPECT_EQ(a.dtype, DType::kF32);
  EXPECT_EQ(a.num_elements(), 4);
  EXPECT_EQ(load_element(a.data, a.dtype, 2), 3.5f);
  const StoredTensor& b = checkpoint.get("b", {3});
  EXPECT_EQ(b.dtype, DType::kBF16);
  EXPECT_EQ(load_element(b.data, b.dtype, 1), -8.0f);
  EXPECT_EQ(checkpoint.total_bytes(), 22u);
  EXPECT_EQ(checkpoint.fingerprint(), sha256_hex(kHeader));
  EXPECT_TRUE(checkpoint.has("a"));
  EXPECT_FALSE(checkpoint.has("__metadata__"));
}

TEST_F(SafetensorsTest, TypesAreCountedThatOfMostBytesFirst) {
  write_model(safetensors(kHeader, data_of_header()));
  const auto types = Checkpoint::open(dir()).types();
  ASSERT_EQ(types.size(), 2u);
  EXPECT_EQ(types[0].type, "fp32");
  EXPECT_EQ(types[0].tensors, 1);
  EXPECT_EQ(types[0].bytes, 16u);
  EXPECT_EQ(types[1].type, "bf16");
}

TEST_F(SafetensorsTest, OneStoredEmbeddingServesBothAndTwoAreUsedEach) {
  const auto names = [&](bool input, bool output, const char* output_value, bool says_tied) {
    const std::string description = R"({"dtype":"F32","shape":[1],"data_offsets":)";
    std::string header = "{", data;
    for (const auto& [stored, name, value] :
         {std::tuple{input, "model.embed_tokens", "1234"}, std::tuple{output, "lm_head", output_value}}) {
      if (!stored) continue;
      header += (data.empty() ? "\"" : ",\"") + std::string(name) + ".weight\":" + description + "[" +
                std::to_string(data.size()) + "," + std::to_string(data.size() + 4) + "]}";
      data += value;
    }
    write_model(safetensors(header + "}", data));
    const EmbeddingNames found = find_embeddings(Checkpoint::open(dir()), says_tied);
    return found.input + " " + found.output;
  };
  for (const bool tied : {false, true}) {
    EXPECT_EQ(names(true, false, "", tied), "model.embed_tokens model.embed_tokens");
    EXPECT_EQ(names(false, true, "5678", tied), "lm_head lm_head");
    EXPECT_EQ(names(true, true, "5678", tied), "model.embed_tokens lm_head");
  }
  EXPECT_EQ(names(true, true, "1234", false), "model.embed_tokens lm_head");
  EXPECT_EQ(names(true, true, "1234", true), "model.embed_tokens model.embed_tokens");  // one copy of the same
}

TEST_F(SafetensorsTest, SpacesAfterTheHeaderAndScalarsAndEmptyTensorsAreFine) {
  write_model(safetensors(R"({"s":{"dtype":"F16","shape":[],"data_offsets":[0,2]},)"
                          R"("e":{"dtype":"F32","shape":[0,5],"data_offsets":[2,2]}}      )",
                          std::string("\x00\x3c", 2)));
  const Checkpoint checkpoint = Checkpoint::open(dir());
  EXPECT_EQ(load_element(checkpoint.get("s", {}).data, DType::kF16, 0), 1.0f);
  EXPECT_EQ(checkpoint.get("e", {0, 5}).num_elements(), 0);
}

TEST_F(SafetensorsTest, DataThatIsNotAlignedInTheFileIsAlignedInMemory) {
  // A byte tensor first, and a header of odd length: every fp32 value lies across an alignment boundary.
  for (int padding = 0; padding < 4; ++padding) {
    std::string data = "z";
    const float values[2] = {1.25f, -3};
    data.append(reinterpret_cast<const char*>(values), sizeof(values));
    write_model(safetensors(R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                            R"("f":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})" +
                                std::string(static_cast<std::size_t>(padding), ' '),
                            data));
    const Checkpoint checkpoint = Checkpoint::open(dir());
    const StoredTensor& f = checkpoint.get("f", {2});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(f.data) % alignof(float), 0u);
    EXPECT_EQ(load_element(f.data, f.dtype, 1), -3.0f);
  }
}

TEST_F(SafetensorsTest, OtherTypesAreLeftOutAndNamedWhenAskedFor) {
  write_model(safetensors(R"({"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                          R"("x":{"dtype":"F99","shape":[7],"data_offsets":[8,9]}})",
                          "123456789"));
  const Checkpoint checkpoint = Checkpoint::open(dir());
  EXPECT_FALSE(checkpoint.has("i"));
  expect_error(ErrorCategory::kUnsupported, R"("i" is stored as "I64"; supported: BF16, F16, F32)",
               [&] { checkpoint.get("i", {1}); });
  expect_error(ErrorCategory::kUnsupported, R"("F99")", [&] { checkpoint.get("x", {7}); });
}

TEST_F(SafetensorsTest, GetNamesWhatIsMissingOrOfAnotherShape) {
  write_model(safetensors(kHeader, data_of_header()));
  const Checkpoint checkpoint = Checkpoint::open(dir());
  expect_error(ErrorCategory::kBadFile, R"("lm_head.weight" is missing)",
               [&] { checkpoint.get("lm_head.weight", {1}); });
  expect_error(ErrorCategory::kBadFile, "has shape [2, 2]; the model's configuration needs [4]",
               [&] { checkpoint.get("a", {4}); });
}

TEST_F(SafetensorsTest, EveryTruncationIsAnError) {
  const std::string whole = safetensors(kHeader, data_of_header());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_model(std::string_view(whole).substr(0, size));
    expect_error(ErrorCategory::kBadFile, "model.safetensors", [&] { Checkpoint::open(dir()); });
  }
  write_model(whole + "!");
  expect_error(ErrorCategory::kBadFile, "take 22 bytes of data, the file holds 23", [&] { Checkpoint::open(dir()); });
}

TEST_F(SafetensorsTest, HostileLengthsAreRefused) {
  for (const std::uint64_t length : {std::uint64_t{100'000'001}, std::uint64_t{1} << 63,
                                     std::numeric_limits<std::uint64_t>::max(), std::uint64_t{23}}) {
    std::string file(30, ' ');
    std::memcpy(file.data(), &length, sizeof(length));  // little-endian, as every machine this runs on
    write_model(file);
    expect_error(ErrorCategory::kBadFile, "header has", [&] { Checkpoint::open(dir()); });
  }
}

TEST_F(SafetensorsTest, BrokenHeadersAreRefused) {
  expect_bad("not json", "", "not valid JSON at byte");
  expect_bad("[]", "", "not a JSON object");
  expect_bad(
      R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      "1234", "occurs twice");
  expect_bad(std::string(200, '['), "", "nested deeper");
  expect_bad("{\"\xff\":1}", "", "not valid JSON");
  expect_bad_tensor("[]", 0, "dtype");
  expect_bad_tensor(R"({"shape":[1],"data_offsets":[0,4]})", 4, "dtype is missing");
  expect_bad_tensor(R"({"dtype":7,"shape":[1],"data_offsets":[0,4]})", 4, "dtype is 7");
  expect_bad_tensor(R"({"dtype":"F32","shape":"1","data_offsets":[0,4]})", 4, "shape");
  expect_bad_tensor(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})", 4, "shape is 1.0");
  expect_bad_tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})", 4, "two offsets");
  expect_bad_tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,8]})", 4, "two offsets");
}

TEST_F(SafetensorsTest, HostileShapesAndOffsetsAreRefused) {
  expect_bad_tensor(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", 4, "shape is -1");
  expect_bad_tensor(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})", 4, "shape");
  expect_bad_tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})", 4, "data_offsets is -4");
  expect_bad_tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", 4, "end before they begin");
  expect_bad_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 4, "data_offsets is 8");
  expect_bad_tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551615]})", 4,
                    "data_offsets");
  expect_bad_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", 4, "does not take the 4 bytes");
  expect_bad_tensor(R"({"dtype":"BF16","shape":[1],"data_offsets":[0,4]})", 4, "does not take the 4 bytes");
  // Products that wrap around to 4 bytes, or to none.
  expect_bad_tensor(R"({"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]})", 4, "does not take");
  expect_bad_tensor(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})", 0, "does not take");
  expect_bad_tensor(R"({"dtype":"I64","shape":[2305843009213693952],"data_offsets":[0,0]})", 0, "does not take");
  expect_bad_tensor(R"({"dtype":"F4","shape":[1],"data_offsets":[0,1]})", 1, "does not take");  // half a byte
}

TEST_F(SafetensorsTest, OverlapsAndHolesAreRefused) {
  const auto two = [](const char* first, const char* second) {
    return std::string(R"({"p":{"dtype":"F32","shape":[1],"data_offsets":)") + first +
           R"(},"q":{"dtype":"F32","shape":[1],"data_offsets":)" + second + "}}";
  };
  expect_bad(two("[0,4]", "[0,4]"), "12345678", "inside another tensor");
  expect_bad(two("[0,4]", "[2,6]"), "12345678", "inside another tensor");
  expect_bad(two("[0,4]", "[5,9]"), "123456789", "after a hole");
  expect_bad(two("[1,5]", "[5,9]"), "123456789", "after a hole");
  expect_bad(two("[4,8]", "[0,4]"), "123456789", "the file holds 9");
  write_model(safetensors(two("[4,8]", "[0,4]"), "12345678"));  // any order of names is fine
  EXPECT_EQ(Checkpoint::open(dir()).tensors().size(), 2u);
}

TEST_F(SafetensorsTest, NamesFromTheFileAreQuotedInMessages) {
  expect_bad(R"({"evil\n\u001b[2J)" + std::string(500, 'n') + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
             "", R"("evil\n\u001b[2Jnnn)");
}

TEST_F(SafetensorsTest, RandomDamageNeverGoesUnnoticedBeyondTheBounds) {
  const std::string whole = safetensors(kHeader, data_of_header());
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    std::string damaged = whole;
    for (int i = 0; i < 3; ++i) {
      damaged[random() % (8 + std::strlen(kHeader))] = "0123456789[]{},:\"-eE.\x00\xff"[random() % 23];
    }
    write_model(damaged);
    try {
      const Checkpoint checkpoint = Checkpoint::open(dir());
      float sum = 0;
      for (const auto& [name, tensor] : checkpoint.tensors()) {
        for (std::int64_t i = 0; i < tensor.num_elements(); ++i) sum += load_element(tensor.data, tensor.dtype, i);
      }
      EXPECT_LE(checkpoint.total_bytes(), 22u);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("model.safetensors"), std::string::npos) << error.what();
    }
  }
}

// --- sharded ---

constexpr const char* kShard1 = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
constexpr const char* kShard2 = R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";

class ShardedTest : public SafetensorsTest {
 protected:
  void write_index(const std::string& weight_map) {
    index_ = R"({"metadata":{"total_size":8},"weight_map":)" + weight_map + "}";
    write("model.safetensors.index.json", index_);
  }
  void write_shards(const char* first = kShard1, const char* second = kShard2) {
    write("one.safetensors", safetensors(first, "1234"));
    write("two.safetensors", safetensors(second, "1234"));
  }
  std::string index_;
};

TEST_F(ShardedTest, ReadsEveryShard) {
  write_shards();
  write_index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  const Checkpoint checkpoint = Checkpoint::open(dir());
  EXPECT_EQ(checkpoint.tensors().size(), 2u);
  EXPECT_EQ(checkpoint.total_bytes(), 8u);
  EXPECT_EQ(checkpoint.fingerprint(), sha256_hex(index_));
}

TEST_F(ShardedTest, NamesThatLeaveTheFolderAreRefused) {
  write_shards();
  for (const char* name : {"../one.safetensors", "/etc/passwd", "sub/one.safetensors", "", "..", "one.bin",
                           "..\\\\one.safetensors", "one\\u0000.safetensors"}) {
    write_index(std::string(R"({"a":")") + name + "\"}");
    expect_error(ErrorCategory::kBadFile, "plain name", [&] { Checkpoint::open(dir()); });
  }
  write_index(R"({"a":3})");
  expect_error(ErrorCategory::kBadFile, "name of a file", [&] { Checkpoint::open(dir()); });
}

TEST_F(ShardedTest, MissingFilesAndTensorsAreNamed) {
  expect_error(ErrorCategory::kIo, "holds no model.safetensors or", [&] { Checkpoint::open(dir()); });
  expect_error(ErrorCategory::kIo, "/nowhere: no such folder", [&] { Checkpoint::open("/nowhere"); });
  write_index(R"({"a":"gone.safetensors"})");
  expect_error(ErrorCategory::kIo, R"("gone.safetensors": missing)", [&] { Checkpoint::open(dir()); });
  write_shards();
  write_index(R"({"a":"one.safetensors","c":"two.safetensors"})");
  const Checkpoint checkpoint = Checkpoint::open(dir());  // nobody may need "c"
  EXPECT_TRUE(checkpoint.has("a") && checkpoint.has("b"));
  expect_error(ErrorCategory::kBadFile,
               R"("c" is missing from the checkpoint, though model.safetensors.index.json says that two.safetensors)",
               [&] { checkpoint.get("c", {1}); });
  write_index("{}");
  expect_error(ErrorCategory::kBadFile, "names no tensor", [&] { Checkpoint::open(dir()); });
  write("model.safetensors.index.json", "{}");
  expect_error(ErrorCategory::kBadFile, "weight_map is missing", [&] { Checkpoint::open(dir()); });
}

TEST_F(ShardedTest, OfATensorInTwoShardsTheLastIsRead) {
  write("one.safetensors", safetensors(kShard1, "old!"));
  write("two.safetensors", safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                       "new!1234"));
  const auto a_of = [&](const std::string& weight_map, std::size_t num_warnings) {
    write_index(weight_map);
    const Checkpoint checkpoint = Checkpoint::open(dir());
    EXPECT_EQ(checkpoint.warnings().size(), num_warnings) << weight_map;
    for (const std::string& warning : checkpoint.warnings()) {
      EXPECT_NE(warning.find(R"(tensor "a" is another one in one.safetensors)"), std::string::npos) << warning;
    }
    return std::string(static_cast<const char*>(checkpoint.get("a", {1}).data), 4);
  };
  EXPECT_EQ(a_of(R"({"a":"two.safetensors","b":"one.safetensors"})", 0), "new!");
  EXPECT_EQ(a_of(R"({"x":"one.safetensors","b":"two.safetensors"})", 0), "new!");
  EXPECT_EQ(a_of(R"({"a":"one.safetensors","b":"two.safetensors"})", 1), "new!");
  write("one.safetensors", safetensors(kShard1, "new!"));
  EXPECT_EQ(a_of(R"({"a":"one.safetensors","b":"two.safetensors"})", 0), "new!");
}

TEST_F(ShardedTest, OtherKindsOfFilesAreNamed) {
  write_shards();
  write("two.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n");
  write_index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  expect_error(ErrorCategory::kBadFile, "two.safetensors: is a Git LFS pointer", [&] { Checkpoint::open(dir()); });
  std::filesystem::remove(dir() + "/two.safetensors");
  std::filesystem::create_symlink("../../blobs/0", dir() + "/two.safetensors");
  expect_error(ErrorCategory::kIo, "download into the Hugging Face cache", [&] { Checkpoint::open(dir()); });
  write("model.safetensors.index.json", "<html>");
  expect_error(ErrorCategory::kBadFile, "index.json: is a web page", [&] { Checkpoint::open(dir()); });
  write_model("<!DOCTYPE html><html lang=\"en\">");
  expect_error(ErrorCategory::kBadFile, "model.safetensors: is a web page", [&] { Checkpoint::open(dir()); });
}

TEST_F(ShardedTest, ABaseModelsNamesGetTheirPrefix) {
  write_model(safetensors(R"({"norm.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                          R"("layers.0.x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},)"
                          R"("lm_head.weight":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
                          "123412341234"));
  const Checkpoint checkpoint = Checkpoint::open(dir());
  EXPECT_TRUE(checkpoint.has("model.norm.weight") && checkpoint.has("model.layers.0.x"));
  EXPECT_TRUE(checkpoint.has("lm_head.weight"));
  EXPECT_EQ(checkpoint.tensors().size(), 3u);
}

// --- content ---

// `count` fp32 tensors "t0", "t1", ... of 20,000 values each, larger than what is hashed whole; some values changed.
class ContentHashTest : public SafetensorsTest {
 protected:
  using Changes = std::map<std::pair<int, std::size_t>, float>;
  static constexpr std::size_t kValues = 20000;
  static constexpr int kTensors = 3;

  static std::string values_of(int tensor, const Changes& changes) {
    std::vector<float> values(kValues);
    for (std::size_t i = 0; i < kValues; ++i) values[i] = static_cast<float>(tensor * 7 + static_cast<int>(i % 1013));
    for (const auto& [place, value] : changes) {
      if (place.first == tensor) values[place.second] = value;
    }
    return {reinterpret_cast<const char*>(values.data()), kValues * sizeof(float)};
  }
  static std::string file_of(const std::vector<int>& tensors, const Changes& changes) {
    std::string header = "{", data;
    for (const int tensor : tensors) {
      const std::size_t begin = data.size();
      data += values_of(tensor, changes);
      header += (begin == 0 ? "\"t" : ",\"t") + std::to_string(tensor) + R"(":{"dtype":"F32","shape":[)" +
                std::to_string(kValues) + R"(],"data_offsets":[)" + std::to_string(begin) + "," +
                std::to_string(data.size()) + "]}";
    }
    return safetensors(header + "}", data);
  }
  std::string hash_of(const std::vector<int>& order, const Changes& changes = {}) {
    write_model(file_of(order, changes));
    return Checkpoint::open(dir()).content_hash();
  }
};

TEST_F(ContentHashTest, IsThatOfTheWeightsHoweverTheyLie) {
  const std::string hash = hash_of({0, 1, 2});
  EXPECT_EQ(hash.size(), 16u);
  EXPECT_EQ(hash_of({2, 0, 1}), hash);
  std::filesystem::remove(dir() + "/model.safetensors");
  write("a.safetensors", file_of({1}, {}));
  write("b.safetensors", file_of({2, 0}, {}));
  write("model.safetensors.index.json",
        R"({"weight_map":{"t0":"b.safetensors","t1":"a.safetensors","t2":"b.safetensors"}})");
  EXPECT_EQ(Checkpoint::open(dir()).content_hash(), hash);
}

TEST_F(ContentHashTest, ChangesWithTheWeights) {
  std::set<std::string> hashes = {hash_of({0, 1, 2}), hash_of({0, 1})};
  for (int tensor = 0; tensor < kTensors; ++tensor) {
    hashes.insert(hash_of({0, 1, 2}, {{{tensor, 0}, -1.f}}));
    hashes.insert(hash_of({0, 1, 2}, {{{tensor, kValues - 1}, -1.f}}));
    Changes spread;  // one value in a hundred; fine-tuning changes more
    for (std::size_t i = 300; i < kValues - 300; i += 97) spread[{tensor, i}] = -2;
    hashes.insert(hash_of({0, 1, 2}, spread));
  }
  EXPECT_EQ(hashes.size(), 2u + 3 * kTensors);
}

TEST_F(ContentHashTest, SmallTensorsCountWhole) {
  const auto hash = [&](const std::string& data, const char* shape) {
    write_model(
        safetensors(R"({"t":{"dtype":"BF16","shape":)" + std::string(shape) + R"(,"data_offsets":[0,2000]}})", data));
    return Checkpoint::open(dir()).content_hash();
  };
  const std::string data(2000, 'x');
  std::set<std::string> hashes = {hash(data, "[1000]"), hash(data, "[10,100]")};
  for (std::size_t i = 0; i < data.size(); i += 37) {
    std::string changed = data;
    changed[i] = 'y';
    hashes.insert(hash(changed, "[1000]"));
  }
  EXPECT_EQ(hashes.size(), 2u + (2000 + 36) / 37);
}

TEST_F(ShardedTest, TheDefaultModelIsRead) {
  const Checkpoint checkpoint = Checkpoint::open(std::string(TCA_SOURCE_DIR) + "/models/lookback-28m");
  const StoredTensor& embedding = checkpoint.get("model.embed_tokens.weight", {8192, 512});
  EXPECT_EQ(embedding.dtype, DType::kBF16);
  EXPECT_EQ(checkpoint.fingerprint().size(), 64u);
}

}  // namespace
}  // namespace tca::runtime
