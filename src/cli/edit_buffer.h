// A message while it is written: the text, the cursor in it, and what was written before.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tca::cli {

/// Positions are bytes; the cursor stands in front of a character, never inside one or before a mark that combines.
class EditBuffer {
 public:
  const std::string& text() const { return text_; }
  std::size_t cursor() const { return cursor_; }
  void set(std::string text);  // the cursor at its end
  void move_to(std::size_t position) { cursor_ = position; }

  void insert(std::string_view text);
  void erase_before();
  void erase_behind();
  void left() { cursor_ = before(cursor_); }
  void right() { cursor_ = behind(cursor_); }
  void word_left() { cursor_ = word_begin(); }
  void word_right() { cursor_ = word_end(); }
  /// Of the line the cursor is in.
  void home() { cursor_ = line_begin(); }
  void end() { cursor_ = line_end(); }
  /// What is killed can be yanked.
  void kill_to_end();
  void kill_to_begin();
  void kill_word();
  void kill_word_forth();
  void yank() { insert(killed_); }

 private:
  std::size_t before(std::size_t position) const;
  std::size_t behind(std::size_t position) const;
  std::size_t word_begin() const;
  std::size_t word_end() const;
  std::size_t line_begin() const;
  std::size_t line_end() const;
  void kill(std::size_t begin, std::size_t end);

  std::string text_;
  std::string killed_;
  std::size_t cursor_ = 0;
};

/// Messages sent before, oldest first; in memory, and in a file where one is named.
class History {
 public:
  /// Reads the file where it is there. Throws kIo when it is there and cannot be read.
  explicit History(std::string file = {});
  /// Forgotten at once when it is the last one again. Throws kIo when the file cannot be written.
  void add(const std::string& message);
  /// Leaves `draft` behind and gives the message before; false at the oldest.
  bool back(const std::string& draft, std::string& message);
  /// Towards the draft, which is the last; false there.
  bool forth(std::string& message);
  void begin_message() { place_ = messages_.size(); }

 private:
  std::string file_;
  std::vector<std::string> messages_;
  std::string draft_;
  std::size_t place_ = 0;  // messages_.size(): the draft
};

}  // namespace tca::cli
