// Editing by hand: every operation on a text one can follow.
#include "cli/edit_buffer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/file.h"
#include "core/temporary_folder.h"

namespace tca::cli {
namespace {

// The text with a bar where the cursor stands.
std::string shown(const EditBuffer& buffer) {
  std::string text = buffer.text();
  return text.insert(buffer.cursor(), 1, '|');
}

EditBuffer buffer_of(const std::string& text_with_bar) {
  EditBuffer buffer;
  const std::size_t bar = text_with_bar.find('|');
  buffer.set(text_with_bar.substr(0, bar) + text_with_bar.substr(bar + 1));
  buffer.move_to(bar);
  return buffer;
}

template <class Action>
std::string after(const std::string& text_with_bar, const Action& action) {
  EditBuffer buffer = buffer_of(text_with_bar);
  action(buffer);
  return shown(buffer);
}

TEST(EditBuffer, CharactersAreWhole) {
  const auto left = [](EditBuffer& b) { b.left(); };
  const auto right = [](EditBuffer& b) { b.right(); };
  const auto back = [](EditBuffer& b) { b.erase_before(); };
  EXPECT_EQ(after("aö|", left), "a|ö");
  EXPECT_EQ(after("a|🍎b", right), "a🍎|b");
  EXPECT_EQ(after("日本|", back), "日|");
  EXPECT_EQ(after("xe\xCC\x81|", back), "x|");  // e and the acute that combines with it
  EXPECT_EQ(after("x|e\xCC\x81y", right), "xe\xCC\x81|y");
  EXPECT_EQ(after("a\xFF|", back), "a|");  // a broken byte is a character
  EXPECT_EQ(after("|a", left), "|a");
  EXPECT_EQ(after("a|", right), "a|");
  EXPECT_EQ(after("a|", [](EditBuffer& b) { b.erase_behind(); }), "a|");
  EXPECT_EQ(after("a|öb", [](EditBuffer& b) { b.erase_behind(); }), "a|b");
}

TEST(EditBuffer, WordsAndLines) {
  EXPECT_EQ(after("one two  |", [](EditBuffer& b) { b.word_left(); }), "one |two  ");
  EXPECT_EQ(after("one| two", [](EditBuffer& b) { b.word_right(); }), "one two|");
  EXPECT_EQ(after("one\ntwo|\nthree", [](EditBuffer& b) { b.home(); }), "one\n|two\nthree");
  EXPECT_EQ(after("one\n|two\nthree", [](EditBuffer& b) { b.end(); }), "one\ntwo|\nthree");
}

TEST(EditBuffer, KilledTextIsYanked) {
  EXPECT_EQ(after("one two|", [](EditBuffer& b) { b.kill_word(), b.home(), b.yank(); }), "two|one ");
  EXPECT_EQ(after("one| two", [](EditBuffer& b) { b.kill_to_end(), b.home(), b.yank(); }), " two|one");
  EXPECT_EQ(after("a\none| two", [](EditBuffer& b) { b.kill_to_begin(); }), "a\n| two");
  EXPECT_EQ(after("a|\nb", [](EditBuffer& b) { b.kill_to_end(); }), "a|b");
  EXPECT_EQ(after("a| bc d", [](EditBuffer& b) { b.kill_word_forth(); }), "a| d");
  EXPECT_EQ(after("|", [](EditBuffer& b) { b.kill_word(), b.kill_to_end(), b.kill_to_begin(), b.yank(); }), "|");
}

TEST(History, GoesBackToTheFirstAndForthToTheDraft) {
  History history;
  for (const char* message : {"one", "two", "two"}) history.add(message);
  history.begin_message();
  std::string message;
  EXPECT_FALSE(history.forth(message));
  EXPECT_TRUE(history.back("dra", message));
  EXPECT_EQ(message, "two");
  EXPECT_TRUE(history.back(message, message));
  EXPECT_EQ(message, "one");
  EXPECT_FALSE(history.back(message, message));
  EXPECT_TRUE(history.forth(message));
  EXPECT_EQ(message, "two");
  EXPECT_TRUE(history.forth(message));
  EXPECT_EQ(message, "dra");
  EXPECT_FALSE(history.forth(message));
}

TEST(History, AFileKeepsItForItsOwner) {
  const testing::TemporaryFolder folder;
  const std::string file = folder.file("history");
  {
    History history(file);
    history.add("one\nline \\n two");
    history.add("größe");
  }
  struct stat status;
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  History history(file);
  std::string message;
  EXPECT_TRUE(history.back("", message));
  EXPECT_EQ(message, "größe");
  EXPECT_TRUE(history.back("", message));
  EXPECT_EQ(message, "one\nline \\n two");
}

}  // namespace
}  // namespace tca::cli
