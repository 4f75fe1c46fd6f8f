#include "runtime/tokenizer/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/expect_error.h"

namespace tca::runtime {
namespace {

using nlohmann::json;
using testing::expect_error;
using Strings = std::vector<std::string>;

Strings split(const json& config, const std::string& text, TextStart start = TextStart::kText) {
  const Pieces pieces = PreTokenizer::parse(config, "pre_tokenizer.").split(text, start);
  Strings out;
  for (const Range& range : pieces.ranges) out.emplace_back(pieces.view(range));
  return out;
}

json split_config(const char* behavior, bool invert = false) {
  return {{"type", "Split"}, {"pattern", {{"Regex", "-"}}}, {"behavior", behavior}, {"invert", invert}};
}

TEST(PreTokenizerTest, NothingLeavesOnePiece) {
  EXPECT_EQ(split(nullptr, "a b"), (Strings{"a b"}));
  EXPECT_EQ(split(nullptr, ""), (Strings{}));
}

TEST(PreTokenizerTest, SplitBehaviors) {
  const std::string text = "the-final--day-";
  EXPECT_EQ(split(split_config("Isolated"), text), (Strings{"the", "-", "final", "-", "-", "day", "-"}));
  EXPECT_EQ(split(split_config("Removed"), text), (Strings{"the", "final", "day"}));
  EXPECT_EQ(split(split_config("Contiguous"), text), (Strings{"the", "-", "final", "--", "day", "-"}));
  EXPECT_EQ(split(split_config("MergedWithPrevious"), text), (Strings{"the-", "final-", "-", "day-"}));
  EXPECT_EQ(split(split_config("MergedWithNext"), text), (Strings{"the", "-final", "-", "-day", "-"}));
  EXPECT_EQ(split(split_config("Removed", true), text), (Strings{"-", "-", "-", "-"}));
  EXPECT_EQ(split(split_config("Isolated"), "none"), (Strings{"none"}));
}

TEST(PreTokenizerTest, LiteralPatternsAreNoExpressions) {
  EXPECT_EQ(
      split({{"type", "Split"}, {"pattern", {{"String", "."}}}, {"behavior", "Removed"}, {"invert", false}}, "a.b"),
      (Strings{"a", "b"}));
}

TEST(PreTokenizerTest, Digits) {
  EXPECT_EQ(split({{"type", "Digits"}, {"individual_digits", true}}, "a12b²"), (Strings{"a", "1", "2", "b", "²"}));
  EXPECT_EQ(split({{"type", "Digits"}, {"individual_digits", false}}, "a12b"), (Strings{"a", "12", "b"}));
}

TEST(PreTokenizerTest, MetaspaceDependsOnWhereTheTextStands) {
  const auto config = [](const char* scheme, bool cut) {
    return json{{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", cut}};
  };
  EXPECT_EQ(split(config("always", true), "a  b c"), (Strings{"▁a", "▁", "▁b", "▁c"}));
  EXPECT_EQ(split(config("always", false), "a b"), (Strings{"▁a▁b"}));
  EXPECT_EQ(split(config("always", false), " b"), (Strings{"▁b"}));
  EXPECT_EQ(split(config("always", false), "a", TextStart::kAfterToken), (Strings{"▁a"}));
  EXPECT_EQ(split(config("always", false), "a", TextStart::kContinues), (Strings{"a"}));
  EXPECT_EQ(split(config("first", false), "a"), (Strings{"▁a"}));
  EXPECT_EQ(split(config("first", false), "a", TextStart::kAfterToken), (Strings{"a"}));
  EXPECT_EQ(split(config("never", true), "a b"), (Strings{"a", "▁b"}));
  json older = config("always", true);
  older.erase("prepend_scheme");
  older["add_prefix_space"] = false;
  EXPECT_EQ(split(older, "a"), (Strings{"a"}));
}

TEST(PreTokenizerTest, ByteLevel) {
  const json gpt2 = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  EXPECT_EQ(split(gpt2, "I'm 12 x!\n\n y"), (Strings{"I", "'m", " 12", " x", "!", "\n\n", " y"}));
  EXPECT_TRUE(PreTokenizer::parse(gpt2, "").byte_level());
  const json prefixed = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", false}};
  EXPECT_EQ(split(prefixed, "a b"), (Strings{" a b"}));
  EXPECT_EQ(split(prefixed, " a"), (Strings{" a"}));
  EXPECT_EQ(split(prefixed, "a", TextStart::kContinues), (Strings{"a"}));
}

TEST(PreTokenizerTest, SequencesCutWhatIsLeft) {
  const json config = {{"type", "Sequence"},
                       {"pretokenizers", {split_config("Removed"), {{"type", "Digits"}, {"individual_digits", true}}}}};
  EXPECT_EQ(split(config, "a1-22"), (Strings{"a", "1", "2", "2"}));
}

TEST(PreTokenizerTest, WhatIsNotSupportedIsNamed) {
  const auto parse = [](const json& config) { PreTokenizer::parse(config, "t.json: pre_tokenizer."); };
  expect_error(ErrorCategory::kUnsupported, "pre_tokenizer.type is \"BertPreTokenizer\"; supported: ByteLevel", [&] {
    parse({{"type", "BertPreTokenizer"}});
  });
  expect_error(ErrorCategory::kBadFile, "behavior", [&] { parse(split_config("Sideways")); });
  expect_error(ErrorCategory::kBadFile, "type is missing", [&] { parse(json::object()); });
  expect_error(ErrorCategory::kBadFile, "pattern.Regex is missing", [&] {
    parse({{"type", "Split"}, {"pattern", json::object()}, {"behavior", "Isolated"}});
  });
  expect_error(ErrorCategory::kBadFile, "replacement", [&] { parse({{"type", "Metaspace"}, {"replacement", "ab"}}); });
  expect_error(ErrorCategory::kBadFile, "prepend_scheme", [&] {
    parse({{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "sometimes"}});
  });
  expect_error(ErrorCategory::kUnsupported, "ByteLevel is followed by \"Digits\"", [&] {
    parse({{"type", "Sequence"}, {"pretokenizers", {{{"type", "ByteLevel"}}, {{"type", "Digits"}}}}});
  });
}

}  // namespace
}  // namespace tca::runtime
