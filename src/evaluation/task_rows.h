// A file of JSON objects, one at a time, so that a large one is never parsed as a whole: JSONL, or one array.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tca::evaluation {

/// content must outlive it.
class TaskRows {
 public:
  TaskRows(std::string_view content, std::string file);

  /// The text of the next line that holds anything, or of the array's next item; nothing after the last. Whether it is
  /// JSON is for the caller. Throws kBadFile where an array does not end, or something follows it.
  std::optional<std::string_view> next();
  /// Of what next() returned last: the line, or the item; from 1.
  std::int64_t number() const { return number_; }

 private:
  std::optional<std::string_view> next_line();
  std::optional<std::string_view> next_item();

  std::string_view rest_;
  std::string file_;
  std::int64_t number_ = 0;
  bool is_array_ = false, ended_ = false;
};

}  // namespace tca::evaluation
