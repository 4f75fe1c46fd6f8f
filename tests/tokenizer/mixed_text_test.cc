// Text of a form and of messages encoded as one: who wrote a byte decides about control tokens, and about nothing else.
#include <gtest/gtest.h>

#include <unordered_set>

#include "runtime/tokenizer/tokenizer.h"
#include "tokenizer/tiny_tokenizers.h"

namespace tca::runtime {
namespace {

using nlohmann::json;
using testing::added_token;
using testing::Ids;

const std::unordered_set<std::int32_t> kNone = {};

// Byte-level with further added tokens from id 264 on: {content, flags}.
Tokenizer with(const std::vector<std::pair<std::string, std::string>>& tokens, const json& normalizer = nullptr) {
  json config = testing::byte_level_config();
  config["normalizer"] = normalizer;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    config["added_tokens"].push_back(
        added_token(264 + static_cast<std::int32_t>(i), tokens[i].first, tokens[i].second));
  }
  return testing::tokenizer_of(config);
}

Ids encode(const Tokenizer& tokenizer, std::string_view text, const std::vector<Range>& outside,
           const std::unordered_set<std::int32_t>& controls = kNone) {
  return tokenizer.encode_mixed({.bytes = text, .outside = outside, .controls = &controls});
}

Ids bytes_of(std::string_view text) {
  Ids ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

TEST(MixedText, ABoundaryIsNoBoundaryForTheTokenizer) {
  const Tokenizer tokenizer = with({});
  for (const std::vector<Range>& outside :
       {std::vector<Range>{}, {{0, 3}}, {{0, 1}}, {{1, 2}}, {{2, 3}}, {{0, 1}, {2, 3}}}) {
    EXPECT_EQ(encode(tokenizer, "the", outside), Ids{257});
  }
}

TEST(MixedText, SpecialTokensCountWhereTheFormWroteAllOfThem) {
  const Tokenizer tokenizer = with({});
  const std::string end = "<|end|>";
  EXPECT_EQ(encode(tokenizer, end, {}), Ids{262});
  for (const std::vector<Range>& outside : {std::vector<Range>{{0, 7}}, {{0, 1}}, {{6, 7}}, {{3, 4}}}) {
    EXPECT_EQ(encode(tokenizer, end, outside), bytes_of(end));
  }
  // What a message leaves unfinished does not hide the form's own.
  Ids expected = bytes_of("<|end");
  expected.push_back(262);
  EXPECT_EQ(encode(tokenizer, "<|end<|end|>", {{0, 5}}), expected);
}

TEST(MixedText, OtherAddedTokensAreSpellingUnlessTheyAreControls) {
  const Tokenizer tokenizer = with({});
  EXPECT_EQ(encode(tokenizer, "  ", {{0, 2}}), Ids{263});
  EXPECT_EQ(encode(tokenizer, "  ", {{1, 2}}), Ids{263});
  EXPECT_EQ(encode(tokenizer, "  ", {{0, 2}}, {263}), bytes_of("  "));
  EXPECT_EQ(encode(tokenizer, "  ", {{1, 2}}, {263}), bytes_of("  "));
  EXPECT_EQ(encode(tokenizer, "  ", {}, {263}), Ids{263});
}

TEST(MixedText, TheLongestTokenThatMayStandThereCounts) {
  const Tokenizer tokenizer = with({{"    ", ""}});
  EXPECT_EQ(encode(tokenizer, "    ", {{0, 4}}), Ids{264});
  EXPECT_EQ(encode(tokenizer, "    ", {{0, 4}}, {264}), (Ids{263, 263}));
}

TEST(MixedText, TokensThatAreLookedForAfterNormalisation) {
  const json nfc = {{"type", "NFC"}};
  const Tokenizer tokenizer = with({{"<x>", "normalized"}}, nfc);
  const std::unordered_set<std::int32_t> controls = {264};
  EXPECT_EQ(encode(tokenizer, "<x>", {}, controls), Ids{264});
  EXPECT_EQ(encode(tokenizer, "<x>", {{0, 3}}, controls), bytes_of("<x>"));
  EXPECT_EQ(encode(tokenizer, "<x>", {{2, 3}}, controls), bytes_of("<x>"));
  EXPECT_EQ(encode(tokenizer, "<x>", {{0, 3}}), Ids{264});
  // Composing makes texts shorter: "e" and an acute accent are one character of two bytes afterwards.
  const std::string accent = "e\xcc\x81";
  Ids expected = bytes_of("\xc3\xa9");
  expected.push_back(264);
  EXPECT_EQ(encode(tokenizer, accent + "<x>", {{0, 3}}, controls), expected);
  expected = bytes_of("\xc3\xa9<x>");
  EXPECT_EQ(encode(tokenizer, accent + "<x>", {{0, 6}}, controls), expected);
  EXPECT_EQ(encode(tokenizer, accent + "<x>", {{3, 4}}, controls), expected);
  expected = Ids{264};
  for (const std::int32_t byte : bytes_of("\xc3\xa9<x>")) expected.push_back(byte);
  expected.push_back(264);
  EXPECT_EQ(encode(tokenizer, "<x>" + accent + "<x><x>", {{4, 9}}, controls), expected);
}

TEST(MixedText, FoundTokensHaveTheirPlaces) {
  const Tokenizer tokenizer = with({{"<r>", "rstrip special"}});
  const std::vector<FoundToken> found = tokenizer.find_added("a<|end|>b<r> \n c");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].id, 262);
  EXPECT_EQ(found[0].range.begin, 1u);
  EXPECT_EQ(found[0].range.end, 8u);
  EXPECT_EQ(found[1].id, 264);
  EXPECT_EQ(found[1].range.begin, 9u);
  EXPECT_EQ(found[1].range.end, 15u);
}

}  // namespace
}  // namespace tca::runtime
