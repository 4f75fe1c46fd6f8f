// tokenizer.json as a whole: encoding, decoding, and what is refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "core/expect_error.h"
#include "core/temporary_folder.h"
#include "tokenizer/tiny_tokenizers.h"

namespace tca::runtime {
namespace {

using nlohmann::json;
using testing::added_token;
using testing::byte_fallback_config;
using testing::byte_level_config;
using testing::expect_error;
using testing::Ids;
using testing::tokenizer_of;

Ids bytes(std::string_view text) {
  Ids ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

TEST(TokenizerTest, ByteLevel) {
  const Tokenizer tokenizer = tokenizer_of(byte_level_config());
  EXPECT_EQ(tokenizer.encode("x the", false), (Ids{'x', 258}));
  EXPECT_EQ(tokenizer.encode("x the", true), (Ids{261, 'x', 258}));
  EXPECT_EQ(tokenizer.encode("", true), (Ids{261}));
  EXPECT_EQ(tokenizer.encode("é", false), bytes("é"));
  EXPECT_EQ(tokenizer.encode("\xff!", false), bytes("\xef\xbf\xbd!"));  // broken bytes are U+FFFD
  EXPECT_EQ(tokenizer.vocab_size(), 264);
  EXPECT_EQ(tokenizer.token_id("Ġthe"), 258);
  EXPECT_EQ(tokenizer.token_id("<|end|>"), 262);
  EXPECT_FALSE(tokenizer.token_id("<|nothing|>"));
  EXPECT_TRUE(tokenizer.is_special(262));
  EXPECT_FALSE(tokenizer.is_special(263) || tokenizer.is_special(258) || tokenizer.is_special(-1) ||
               tokenizer.is_special(1 << 30));
  EXPECT_TRUE(tokenizer.is_added(263));
}

TEST(TokenizerTest, SpecialTokensInTheTextCountOnlyWhenAsked) {
  const Tokenizer tokenizer = tokenizer_of(byte_level_config());
  EXPECT_EQ(tokenizer.encode("a<|end|>b", false), (Ids{'a', 262, 'b'}));
  const Ids plain = tokenizer.encode_plain("a<|end|>  b");
  EXPECT_EQ(plain, (Ids{'a', '<', '|', 'e', 'n', 'd', '|', '>', 263, 'b'}));
  EXPECT_EQ(tokenizer.decode(plain), "a<|end|>  b");
}

TEST(TokenizerTest, ByteFallback) {
  const Tokenizer tokenizer = tokenizer_of(byte_fallback_config());
  EXPECT_EQ(tokenizer.encode("ab a", false), (Ids{266, 264}));
  EXPECT_EQ(tokenizer.encode("ab", true), (Ids{1, 266}));
  EXPECT_EQ(tokenizer.encode("é", false), (Ids{259, 3 + 0xC3, 3 + 0xA9}));
  EXPECT_EQ(tokenizer.encode("a<s>a", false), (Ids{264, 1, 264}));  // the prefix again after a token
  EXPECT_EQ(tokenizer.encode_plain("a", TextStart::kContinues), (Ids{260}));
  EXPECT_EQ(tokenizer.encode("", false), (Ids{}));
  EXPECT_EQ(tokenizer.decode(Ids{1, 266, 264}), "ab a");
  EXPECT_EQ(tokenizer.decode(Ids{1, 266, 264}, false), "<s> ab a");
}

TEST(TokenizerTest, DecodingBytesWaitsForWholeCharacters) {
  const Tokenizer tokenizer = tokenizer_of(byte_level_config());
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.push('x'), "x");
  EXPECT_EQ(stream.push(0xF0), "");
  EXPECT_EQ(stream.push(0x9F), "");
  EXPECT_EQ(stream.push(0x98), "");
  EXPECT_EQ(stream.push(0x80), "😀");
  EXPECT_EQ(stream.push(262), "");  // special
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.push('y'), "\uFFFDy");
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
}

TEST(TokenizerTest, DecodingByteTokensWaitsForTheEndOfTheirRun) {
  const Tokenizer tokenizer = tokenizer_of(byte_fallback_config());
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.push(264), "a");  // the first space is the one that encoding put there
  EXPECT_EQ(stream.push(264), " a");
  EXPECT_EQ(stream.push(3 + 0xC3), "");
  EXPECT_EQ(stream.push(3 + 0xA9), "");  // complete, but a broken byte after it would break it, too
  EXPECT_EQ(stream.push(260), "éa");
  EXPECT_EQ(stream.push(3 + 0xC3), "");
  EXPECT_EQ(stream.push(3 + 0xA9), "");
  EXPECT_EQ(stream.push(3 + 0xFF), "");
  EXPECT_EQ(stream.finish(), "\uFFFD\uFFFD\uFFFD");
}

TEST(TokenizerTest, PiecesOfAStreamAreTheWhole) {
  std::mt19937 random(3);
  for (const json& config : {byte_level_config(), byte_fallback_config()}) {
    const Tokenizer tokenizer = tokenizer_of(config);
    for (int round = 0; round < 500; ++round) {
      Ids ids;
      for (std::size_t n = random() % 20; n > 0; --n) ids.push_back(static_cast<std::int32_t>(random() % 270) - 1);
      StreamDecoder stream(tokenizer, round % 2 == 0);
      std::string text;
      for (const std::int32_t id : ids) text += stream.push(id);
      EXPECT_EQ(text + stream.finish(), tokenizer.decode(ids, round % 2 == 0));
    }
  }
}

TEST(TokenizerTest, Decoders) {
  json config = byte_fallback_config();
  const auto decoded = [&](const json& decoder, const Ids& ids) {
    config["decoder"] = decoder;
    return tokenizer_of(config).decode(ids);
  };
  EXPECT_EQ(decoded(nullptr, {264, 260, 265}), "▁a a ab");
  EXPECT_EQ(decoded({{"type", "Metaspace"}, {"replacement", "▁"}}, {267, 264, 264}),
            " a a");  // none of the first token's
  EXPECT_EQ(decoded({{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "never"}}, {264, 264}), " a a");
  EXPECT_EQ(decoded({{"type", "Fuse"}}, {264, 260}), "▁aa");
  const json strip = {{"type", "Strip"}, {"content", "a"}, {"start", 1}, {"stop", 1}};
  EXPECT_EQ(decoded(strip, {260, 265, 264}), "b▁");
  EXPECT_EQ(decoded({{"type", "Sequence"}, {"decoders", {{{"type", "Fuse"}}, strip}}}, {260, 265, 264, 260}), "ab▁a");
  EXPECT_EQ(decoded({{"type", "Replace"}, {"pattern", {{"String", "▁a"}}}, {"content", "X"}}, {264, 266, 260}), "XXba");
  EXPECT_EQ(decoded({{"type", "Replace"}, {"pattern", {{"Regex", "[ab]"}}}, {"content", "X"}}, {264, 265}), "▁XXX");
  EXPECT_EQ(decoded({{"type", "ByteLevel"}}, {260, 261}), "ab");
}

TEST(TokenizerTest, TokensThatTokenizerConfigDeclaresAreTokens) {
  const auto with = [](const json& decoder, json config = json::object()) {
    config["added_tokens_decoder"] = decoder;
    return Tokenizer::parse(byte_level_config().dump(), "tokenizer.json", config.dump());
  };
  const json tool = {{"content", "<tool>"}, {"special", true}, {"normalized", false}};
  const Tokenizer tokenizer = with({{"264", tool}, {"270", {{"content", "<wide>"}}}});
  EXPECT_EQ(tokenizer.encode("a<tool>b<wide>", false), (Ids{'a', 264, 'b', 270}));
  EXPECT_EQ(tokenizer.token_id("<tool>"), 264);
  EXPECT_TRUE(tokenizer.is_special(264));
  EXPECT_FALSE(tokenizer.is_special(270));
  EXPECT_TRUE(tokenizer.is_added(270));
  EXPECT_EQ(tokenizer.vocab_size(), 271);
  EXPECT_EQ(tokenizer.decode(Ids{'a', 264, 270}), "a<wide>");
  EXPECT_EQ(tokenizer.encode_plain("<tool>"), bytes("<tool>"));

  // What tokenizer.json has keeps its id and takes the flags.
  const Tokenizer flagged = with({{"262", {{"content", "<|end|>"}, {"special", false}, {"rstrip", true}}},
                                  {"999", {{"content", "th"}, {"special", true}, {"lstrip", true}}}});
  EXPECT_TRUE(flagged.is_special(262));  // once special, always special
  EXPECT_EQ(flagged.encode("<|end|> x", false), (Ids{262, 'x'}));
  EXPECT_TRUE(flagged.is_special(256) && flagged.is_added(256));
  EXPECT_EQ(flagged.encode("a th", false), (Ids{'a', 256}));
  EXPECT_EQ(flagged.vocab_size(), 264);
  // One that is named is special whatever its flag says.
  for (const json& name : {json("<tool>"), json{{"content", "<tool>"}}}) {
    EXPECT_TRUE(with({{"264", {{"content", "<tool>"}, {"special", false}}}}, {{"eos_token", name}}).is_special(264));
  }

  const auto refused = [&](const json& decoder, const std::string& part) {
    expect_error(ErrorCategory::kBadFile, part, [&] { with(decoder); });
  };
  refused({{"257", tool}}, R"(gives the id 257 to "<tool>", but tokenizer.json to "the")");
  refused({{"262", tool}}, R"(gives the id 262 to "<tool>", but tokenizer.json to "<|end|>")");
  refused({{"x", tool}}, R"(added_tokens_decoder: a key is "x")");
  refused({{"-1", tool}}, "added_tokens_decoder.-1.id is -1");
  refused({{"99999999999999999999", tool}}, "a token's id");
  refused({{"264", "<tool>"}}, "added_tokens_decoder.264: value is \"<tool>\"");
  refused({{"264", json::object()}}, "added_tokens_decoder.264.content is missing");
  refused(json::array(), "added_tokens_decoder is an array");
}

TEST(TokenizerTest, AFolderHasTokensBesideTokenizerJson) {
  const testing::TemporaryFolder folder;
  const auto write = [&](const char* name, const std::string& content) {
    std::ofstream(folder.file(name), std::ios::binary) << content;
  };
  write("tokenizer.json", byte_level_config().dump());
  EXPECT_EQ(Tokenizer::load(folder.file("")).vocab_size(), 264);
  write("added_tokens.json", R"({"<old>": 264, "<eos>": 265})");
  write("tokenizer_config.json", R"({"eos_token": "<eos>", "model_max_length": Infinity})");
  const Tokenizer old = Tokenizer::load(folder.file(""));
  EXPECT_EQ(old.encode("<old><eos>", false), (Ids{264, 265}));
  EXPECT_TRUE(old.is_special(265) && !old.is_special(264));
  write("tokenizer_config.json", R"({"added_tokens_decoder": {"264": {"content": "<new>"}}})");
  EXPECT_EQ(Tokenizer::load(folder.file("")).token_id("<new>"), 264);
  EXPECT_FALSE(Tokenizer::load(folder.file("")).token_id("<old>"));
  write("tokenizer_config.json", "{");
  expect_error(ErrorCategory::kBadFile, "tokenizer_config.json: not valid JSON",
               [&] { Tokenizer::load(folder.file("")); });
  std::filesystem::remove(folder.file("tokenizer.json"));
  write("tokenizer.model", "x");
  expect_error(ErrorCategory::kIo, "holds no tokenizer.json: it has tokenizer.model alone",
               [&] { Tokenizer::load(folder.file("")); });
  write("tokenizer.json", "version https://git-lfs.github.com/spec/v1\n");
  expect_error(ErrorCategory::kBadFile, "tokenizer.json: is a Git LFS pointer",
               [&] { Tokenizer::load(folder.file("")); });
}

TEST(TokenizerTest, AddedTokensStripAndStandAlone) {
  json config = byte_level_config();
  config["added_tokens"].push_back(added_token(264, "<L>", "lstrip"));
  config["added_tokens"].push_back(added_token(265, "<R>", "rstrip"));
  config["added_tokens"].push_back(added_token(266, "one", "single_word"));
  config["added_tokens"].push_back(added_token(267, "<R><R>", ""));
  const Tokenizer tokenizer = tokenizer_of(config);
  EXPECT_EQ(tokenizer.encode("a \u3000<L> b", false), (Ids{'a', 264, ' ', 'b'}));
  EXPECT_EQ(tokenizer.encode("a <R> \n b", false), (Ids{'a', ' ', 265, 'b'}));
  EXPECT_EQ(tokenizer.encode("<R> <L>", false), (Ids{265, 264}));
  EXPECT_EQ(tokenizer.encode("one", false), (Ids{266}));
  EXPECT_EQ(tokenizer.encode("-one.", false), (Ids{'-', 266, '.'}));
  EXPECT_EQ(tokenizer.encode("onež", false), bytes("onež"));
  EXPECT_EQ(tokenizer.encode("_one", false), bytes("_one"));
  EXPECT_EQ(tokenizer.encode("<R><R><R>", false), (Ids{267, 265}));  // the longest first
}

TEST(TokenizerTest, NormalisedTokensAreFoundInNormalisedText) {
  json config = byte_level_config();
  config["normalizer"] = {{"type", "NFC"}};
  config["added_tokens"].push_back(added_token(264, "caf\u00e9", "normalized"));
  config["added_tokens"].push_back(added_token(265, "n\u00e9e", ""));
  const Tokenizer tokenizer = tokenizer_of(config);
  EXPECT_EQ(tokenizer.encode("cafe\u0301", false), (Ids{264}));
  EXPECT_EQ(tokenizer.encode("née", false), (Ids{265}));
  EXPECT_EQ(tokenizer.encode("ne\u0301e", false), bytes("née"));
}

TEST(TokenizerTest, ManyThreadsMayEncodeAtOnce) {
  const Tokenizer tokenizer = tokenizer_of(byte_level_config());
  const std::string text = "the cat aaaa the end <|end|> ";
  const Ids expected = tokenizer.encode(text, true);
  std::vector<std::thread> threads;
  std::vector<int> equal(8, 0);
  for (std::size_t t = 0; t < equal.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) equal[t] += tokenizer.encode(text, true) == expected ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, std::vector<int>(8, 200));
}

TEST(TokenizerTest, BrokenFilesAreNamed) {
  const auto expect_bad = [](const char* pointer, const json& value, const char* part) {
    json config = byte_level_config();
    config[json::json_pointer(pointer)] = value;
    expect_error(ErrorCategory::kBadFile, part, [&] { tokenizer_of(config); });
  };
  expect_bad("/model", nullptr, "tokenizer.json: model is missing");
  expect_bad("/model/vocab", json::object(), "merges[0]");
  expect_bad("/added_tokens", 3, "added_tokens");
  expect_bad("/added_tokens/0/id", -1, "tokenizer.json: added_tokens[0].id is -1");
  expect_bad("/added_tokens/0/id", 262, "added_tokens[1].id is 262; expected an id that no other added token has");
  expect_bad("/added_tokens/0/id", 97, "the id of \"<|begin|>\" is 97");  // is "a" already
  expect_bad("/added_tokens/1/content", "<|begin|>", "expected a text that no other added token has");
  expect_bad("/added_tokens/0/content", std::string(2000, 'x'), "at most 1024 bytes");
  expect_bad("/added_tokens/0/content", 5, "content");
  expect_bad("/post_processor/special_tokens/<|begin|>/ids", {9999}, "expected an id in [0, 264)");
  expect_bad("/post_processor/special_tokens", json::object(), "<|begin|> is missing");
  expect_bad("/post_processor/single", json::array(), "post_processor.single");
  expect_bad("/normalizer", "NFC", "normalizer");
  expect_bad("/decoder", {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}}, "decoder.start is -1");

  const auto expect_unsupported = [](const char* pointer, const json& value, const char* part) {
    json config = byte_level_config();
    config[json::json_pointer(pointer)] = value;
    expect_error(ErrorCategory::kUnsupported, part, [&] { tokenizer_of(config); });
  };
  expect_unsupported("/version", "2.0", "version is \"2.0\"");
  expect_unsupported("/normalizer", {{"type", "Lowercase"}},
                     "tokenizer.json: normalizer.type is \"Lowercase\"; supported");
  expect_unsupported("/decoder", {{"type", "WordPiece"}}, "decoder.type is \"WordPiece\"");
  expect_unsupported("/post_processor", {{"type", "BertProcessing"}}, "post_processor.type is \"BertProcessing\"");
  expect_error(ErrorCategory::kBadFile, "x.json: expected a JSON object", [] { Tokenizer::parse("[]", "x.json"); });
  expect_error(ErrorCategory::kBadFile, "x.json: not valid JSON", [] { Tokenizer::parse("{", "x.json"); });
  expect_error(ErrorCategory::kIo, "/nowhere: no such folder", [] { Tokenizer::load("/nowhere"); });
  json empty = byte_level_config();
  empty["model"]["vocab"] = json::object();
  empty["model"]["merges"] = json::array();
  empty["added_tokens"] = json::array();
  empty["post_processor"] = nullptr;
  expect_error(ErrorCategory::kBadFile, "model.vocab has no token", [&] { tokenizer_of(empty); });
}

TEST(TokenizerTest, FilesThatMakeTextExplodeAreRefused) {
  const json twice = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
  json config = byte_level_config();
  config["normalizer"] = {{"type", "Sequence"}, {"normalizers", json(std::vector<json>(30, twice))}};
  const Tokenizer tokenizer = tokenizer_of(config);
  EXPECT_EQ(tokenizer.encode("b", false), (Ids{'b'}));
  expect_error(ErrorCategory::kUnsupported, "at most 64 times as many", [&] { tokenizer.encode("a", false); });

  const auto expect_refused = [](const char* field, const json& value, const char* part) {
    json changed = byte_level_config();
    changed[field] = value;
    expect_error(ErrorCategory::kUnsupported, part, [&] { tokenizer_of(changed); });
  };
  const json many(std::vector<json>(40, twice));
  expect_refused("normalizer", {{"type", "Sequence"}, {"normalizers", many}}, "more than 32 normalizers");
  expect_refused("decoder", {{"type", "Sequence"}, {"decoders", many}}, "more than 2 Replace decoders");
  const json fuse = {{"type", "Fuse"}};
  expect_refused("decoder", {{"type", "Sequence"}, {"decoders", json(std::vector<json>(40, fuse))}},
                 "more than 32 decoders");
  const json digits = {{"type", "Digits"}};
  expect_refused("pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", json(std::vector<json>(40, digits))}},
                 "more than 32 pre-tokenizers");
  json begin = byte_level_config()["post_processor"];
  begin["special_tokens"]["<|begin|>"]["ids"] = std::vector<int>(2000, 261);
  expect_refused("post_processor", begin, "more than 1024 ids");
}

TEST(TokenizerTest, WholeWordsOfTheVocabularyAreNoWayToSpecialTokens) {
  json config = byte_level_config();
  config["pre_tokenizer"]["use_regex"] = false;
  config["model"]["ignore_merges"] = true;
  config["model"]["vocab"]["<|end|>"] = 262;
  const Tokenizer tokenizer = tokenizer_of(config);
  EXPECT_EQ(tokenizer.encode("<|end|>", false), (Ids{262}));
  EXPECT_EQ(tokenizer.encode_plain("<|end|>"), bytes("<|end|>"));
  EXPECT_EQ(tokenizer.encode_plain("the"), (Ids{257}));
}

// Whatever a file says, it is refused by an Error or works.
TEST(TokenizerTest, DamagedFilesNeverCrash) {
  std::mt19937 random(9);
  int refused = 0;
  for (const json& config : {byte_level_config(), byte_fallback_config()}) {
    const json flat = config.flatten();
    std::vector<std::string> pointers;
    for (const auto& [pointer, value] : flat.items()) pointers.push_back(pointer);
    const json values = {nullptr, 0, -1, 1e300, 4294967296, "", "▁", "(", true, json::array(), json::object()};
    for (int round = 0; round < 300; ++round) {
      json damaged = config;
      damaged[json::json_pointer(pointers[random() % pointers.size()])] = values[random() % values.size()];
      try {
        const Tokenizer tokenizer = tokenizer_of(damaged);
        const Ids ids = tokenizer.encode("the  caf\u00e9 \xff<s><|end|> aaab", true);
        tokenizer.decode(ids);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(TokenizerTest, TheDefaultModelRoundTripsTheNovel) {
  const std::string root = TCA_SOURCE_DIR;
  const Tokenizer tokenizer = Tokenizer::load(root + "/models/lookback-28m");
  std::ifstream file(root + "/examples/data/michael-armstrong.txt", std::ios::binary);
  const std::string novel{std::istreambuf_iterator<char>(file), {}};
  const Ids ids = tokenizer.encode(novel, true);
  EXPECT_EQ(ids.front(), 0);
  EXPECT_EQ(tokenizer.decode(ids), novel);
  EXPECT_EQ(tokenizer.vocab_size(), 8192);
}

}  // namespace
}  // namespace tca::runtime
