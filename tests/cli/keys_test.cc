// Bytes of a terminal as keys, whole and in pieces.
#include "cli/keys.h"

#include <gtest/gtest.h>

#include <vector>

namespace tca::cli {
namespace {

std::vector<Key> keys_of(KeyParser& parser) {
  std::vector<Key> keys;
  while (auto key = parser.next()) keys.push_back(std::move(*key));
  return keys;
}

std::vector<Key> keys_of(std::string_view bytes) {
  KeyParser parser;
  parser.feed(bytes);
  return keys_of(parser);
}

KeyKind kind_of(std::string_view bytes) {
  const std::vector<Key> keys = keys_of(bytes);
  EXPECT_EQ(keys.size(), 1u) << bytes;
  return keys.empty() ? KeyKind::kIgnored : keys[0].kind;
}

TEST(Keys, NamesOfSequences) {
  EXPECT_EQ(kind_of("\x1b[A"), KeyKind::kUp);
  EXPECT_EQ(kind_of("\x1bOB"), KeyKind::kDown);
  EXPECT_EQ(kind_of("\x1b[C"), KeyKind::kRight);
  EXPECT_EQ(kind_of("\x1b[1;5D"), KeyKind::kWordLeft);
  EXPECT_EQ(kind_of("\x1b[1;3C"), KeyKind::kWordRight);
  EXPECT_EQ(kind_of("\x1b[H"), KeyKind::kHome);
  EXPECT_EQ(kind_of("\x1b[4~"), KeyKind::kEnd);
  EXPECT_EQ(kind_of("\x1b[3~"), KeyKind::kDelete);
  EXPECT_EQ(kind_of("\x1b\r"), KeyKind::kNewLine);
  EXPECT_EQ(kind_of("\x1b[15;2~"), KeyKind::kIgnored);
  EXPECT_EQ(kind_of("\r"), KeyKind::kEnter);
  EXPECT_EQ(kind_of("\n"), KeyKind::kEnter);
  EXPECT_EQ(kind_of("\x7f"), KeyKind::kBackspace);
  EXPECT_EQ(kind_of("\x01"), KeyKind::kHome);
  EXPECT_EQ(kind_of("\x15"), KeyKind::kKillToBegin);
  EXPECT_EQ(kind_of("\x03"), KeyKind::kInterrupt);
  EXPECT_EQ(kind_of(std::string_view("\0", 1)), KeyKind::kIgnored);
}

TEST(Keys, TextComesInOneKey) {
  const std::vector<Key> keys = keys_of("größe 🍎\tx\r");
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].kind, KeyKind::kText);
  EXPECT_EQ(keys[0].text, "größe 🍎\tx");
  EXPECT_EQ(keys[1].kind, KeyKind::kEnter);
}

TEST(Keys, EveryCutGivesTheSameText) {
  const std::string bytes = "ab\x1b[1;5Cö🍎\x1b[200~one\r\ntwo\rthree\x1b[31m\x1b[201~\x1b[A\r";
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    KeyParser parser;
    std::string text;
    std::vector<KeyKind> others;
    for (const std::string& piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
      parser.feed(piece);
      for (const Key& key : keys_of(parser)) {
        text += key.text;
        if (key.kind != KeyKind::kText) others.push_back(key.kind);
      }
    }
    EXPECT_EQ(text, "abö🍎one\ntwo\nthree[31m") << cut;
    EXPECT_EQ(others, (std::vector<KeyKind>{KeyKind::kWordRight, KeyKind::kUp, KeyKind::kEnter})) << cut;
  }
}

TEST(Keys, APasteIsOneKeyWhateverIsInIt) {
  std::string paste;
  for (int i = 0; i < 20000; ++i) paste += i % 50 == 49 ? "\x03\r" : "x";
  const std::vector<Key> keys = keys_of("\x1b[200~" + paste + "\x1b[201~");
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].text.size(), 20000u);
  EXPECT_EQ(keys[0].text.substr(48, 3), "x\nx");
}

TEST(Keys, WhatDoesNotGoOnIsGivenUp) {
  KeyParser parser;
  parser.feed("\x1b");
  EXPECT_FALSE(parser.next());
  EXPECT_TRUE(parser.waits());
  parser.give_up();
  EXPECT_FALSE(parser.waits());
  parser.feed("a\xC3");
  ASSERT_EQ(keys_of(parser).size(), 1u);
  parser.feed("\r");  // no second half: the byte is text
  const std::vector<Key> keys = keys_of(parser);
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].text, "\xC3");
  EXPECT_EQ(keys[1].kind, KeyKind::kEnter);
}

}  // namespace
}  // namespace tca::cli
