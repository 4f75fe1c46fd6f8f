#include "runtime/tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "core/check.h"
#include "core/expect_error.h"
#include "tokenizer/tiny_tokenizers.h"

namespace tca::runtime {
namespace {

using nlohmann::json;
using testing::expect_error;
using testing::Ids;

Ids encode(const Bpe& bpe, std::string_view piece) {
  WordCache cache;
  Ids first;
  bpe.encode(piece, cache, first);
  Ids again;
  bpe.encode(piece, cache, again);
  EXPECT_EQ(first, again) << "the cache changes the result";
  return first;
}

// As from a file: there, ids that are not negative are unsigned numbers.
Bpe parse(const json& model, bool byte_level = false) {
  return Bpe::parse(json::parse(model.dump()), byte_level, "t.json: model.");
}

TEST(BpeTest, EveryByteIsSpelledByOneCharacter) {
  std::map<std::string, int> seen;
  for (int byte = 0; byte < 256; ++byte) ++seen[byte_level_characters()[static_cast<std::size_t>(byte)]];
  EXPECT_EQ(seen.size(), 256u);
  EXPECT_EQ(byte_level_characters()[' '], "Ġ");
  EXPECT_EQ(byte_level_characters()['\n'], "Ċ");
  EXPECT_EQ(byte_level_characters()['a'], "a");
  EXPECT_EQ(byte_level_characters()[0xE9], "é");
  EXPECT_EQ(byte_of_character(U'Ġ'), ' ');
  EXPECT_EQ(byte_of_character(U'é'), 0xE9);
  EXPECT_EQ(byte_of_character(U'中'), -1);
}

TEST(BpeTest, LowestRankFirstLeftmostOfEquals) {
  const Bpe bpe = parse(testing::byte_level_config()["model"], true);
  EXPECT_EQ(encode(bpe, " the"), (Ids{258}));
  EXPECT_EQ(encode(bpe, "thx"), (Ids{256, 'x'}));
  EXPECT_EQ(encode(bpe, "aaaaa"), (Ids{260, 'a'}));
  EXPECT_EQ(encode(bpe, "aaa"), (Ids{259, 'a'}));
  EXPECT_EQ(encode(bpe, "\xff"), (Ids{255}));
  EXPECT_EQ(encode(bpe, ""), (Ids{}));
}

TEST(BpeTest, UnknownCharacters) {
  json model = {{"vocab", {{"<unk>", 0}, {"a", 1}, {"b", 2}, {"ab", 3}, {"<0xC3>", 4}, {"<0xA9>", 5}}},
                {"merges", {"a b"}}};
  EXPECT_EQ(encode(parse(model), "axxb"), (Ids{3}));  // characters without a token vanish, before merges
  model["unk_token"] = "<unk>";
  EXPECT_EQ(encode(parse(model), "axxb"), (Ids{1, 0, 0, 2}));
  model["fuse_unk"] = true;
  EXPECT_EQ(encode(parse(model), "axxb"), (Ids{1, 0, 2}));
  model["byte_fallback"] = true;
  EXPECT_EQ(encode(parse(model), "aéxb"), (Ids{1, 4, 5, 0, 2}));  // x has no byte token
  model["unk_token"] = "<gone>";
  EXPECT_EQ(encode(parse(model), "ab"), (Ids{3}));
  expect_error(ErrorCategory::kBadFile, "model.unk_token is not in vocab", [&] { encode(parse(model), "x"); });
}

TEST(BpeTest, IgnoreMergesTakesWholeWordsFromTheVocabulary) {
  json model = {{"vocab", {{"a", 0}, {"b", 1}, {"aba", 2}}}, {"merges", json::array()}};
  EXPECT_EQ(encode(parse(model), "aba"), (Ids{0, 1, 0}));
  model["ignore_merges"] = true;
  EXPECT_EQ(encode(parse(model), "aba"), (Ids{2}));
  EXPECT_EQ(encode(parse(model), "abaa"), (Ids{0, 1, 0, 0}));
  EXPECT_EQ(encode(parse(model, true), "aba"), (Ids{2}));
}

// The definition: as long as there is a pair with a merge, merge the one of the lowest rank, the leftmost of equals.
Ids merge_naively(Ids ids, const std::map<std::pair<int, int>, std::pair<int, int>>& merges) {
  while (true) {
    std::size_t best = ids.size();
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto merge = merges.find({ids[i], ids[i + 1]});
      if (merge == merges.end()) continue;
      if (best == ids.size() || merge->second.first < merges.at({ids[best], ids[best + 1]}).first) best = i;
    }
    if (best == ids.size()) return ids;
    ids[best] = merges.at({ids[best], ids[best + 1]}).second;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BpeTest, RandomVocabulariesAgreeWithTheDefinition) {
  std::mt19937 random(1);
  for (int round = 0; round < 80; ++round) {
    // Three letters, each new token a pair of older ones that is not there yet.
    std::vector<std::string> tokens = {"a", "b", "é"};
    std::map<std::pair<int, int>, std::pair<int, int>> merges;
    json model = {{"vocab", {{"a", 0}, {"b", 1}, {"é", 2}}}, {"merges", json::array()}};
    for (int tries = 0; tries < 12; ++tries) {
      const std::size_t left = random() % tokens.size();
      const std::size_t right = random() % tokens.size();
      const std::string joined = tokens[left] + tokens[right];
      if (model["vocab"].contains(joined) || joined.size() > 9) continue;
      const int id = static_cast<int>(tokens.size());
      merges[{static_cast<int>(left), static_cast<int>(right)}] = {static_cast<int>(merges.size()), id};
      model["vocab"][joined] = id;
      model["merges"].push_back({tokens[left], tokens[right]});
      tokens.push_back(joined);
    }
    const Bpe bpe = parse(model);
    for (int i = 0; i < 20; ++i) {
      Ids letters;
      std::string text;
      for (std::size_t n = random() % 40; n > 0; --n) {
        letters.push_back(static_cast<std::int32_t>(random() % 3));
        text += tokens[static_cast<std::size_t>(letters.back())];
      }
      EXPECT_EQ(encode(bpe, text), merge_naively(letters, merges)) << text << " " << model.dump();
    }
  }
}

TEST(BpeTest, AWordOfAMillionCharactersTakesAMoment) {
  const Bpe bpe = parse(testing::byte_level_config()["model"], true);
  EXPECT_EQ(encode(bpe, std::string(1 << 20, 'a')).size(), std::size_t{1} << 18);
}

TEST(BpeTest, TheCacheForgetsRatherThanGrows) {
  const Bpe bpe = parse(testing::byte_level_config()["model"], true);
  WordCache cache;
  for (int i = 0; i < 150000; ++i) {
    const std::string word = text("w", i);
    Ids ids;
    bpe.encode(word, cache, ids);
    ASSERT_EQ(ids, Ids(word.begin(), word.end()));
  }
}

TEST(BpeTest, BrokenModelsAreNamed) {
  const auto expect_bad = [](const json& model, const char* part) {
    expect_error(ErrorCategory::kBadFile, part, [&] { parse(model); });
  };
  const json vocab = {{"a", 0}, {"b", 1}, {"ab", 2}};
  expect_bad({{"merges", json::array()}}, "model.vocab is missing");
  expect_bad({{"vocab", vocab}}, "model.merges is missing");
  expect_bad({{"vocab", {{"a", 0}, {"b", 0}}}, {"merges", json::array()}},
             R"(vocab["b"] is 0; expected an id that no other)");
  expect_bad({{"vocab", {{"a", -1}}}, {"merges", json::array()}}, R"(vocab["a"] is -1)");
  expect_bad({{"vocab", {{"a", 1.5}}}, {"merges", json::array()}}, "vocab");
  expect_bad({{"vocab", {{"a", 4000000000}}}, {"merges", json::array()}}, "expected an integer in [0, 2097152)");
  expect_bad({{"vocab", vocab}, {"merges", {"a c"}}}, R"(merges[0] is "a c"; expected two tokens of vocab)");
  expect_bad({{"vocab", vocab}, {"merges", {"a b", "b a"}}}, "merges[1]");  // "ba" is no token
  expect_bad({{"vocab", vocab}, {"merges", {"ab"}}}, "one space between");
  expect_bad({{"vocab", vocab}, {"merges", {"a b c"}}}, "one space between");
  expect_bad({{"vocab", vocab}, {"merges", {{"a", "b", "c"}}}}, "array of two strings");
  expect_bad({{"vocab", vocab}, {"merges", {7}}}, "array of two strings");
  expect_bad({{"vocab", vocab}, {"merges", json::array()}, {"fuse_unk", 1}}, "fuse_unk");

  const auto expect_unsupported = [](json model, const char* part) {
    model["vocab"] = {{"a", 0}};
    model["merges"] = json::array();
    expect_error(ErrorCategory::kUnsupported, part, [&] { parse(model); });
  };
  expect_unsupported({{"type", "Unigram"}}, "model.type is \"Unigram\"; supported: BPE");
  expect_unsupported({{"dropout", 0.1}}, "dropout is 0.1");
  expect_unsupported({{"end_of_word_suffix", "</w>"}}, "end_of_word_suffix is \"</w>\"");
  expect_unsupported({{"continuing_subword_prefix", "##"}}, "continuing_subword_prefix");
}

}  // namespace
}  // namespace tca::runtime
