// Questions about a document, side by side.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tca::runtime {

/// Rows of several questions, each of which follows the document directly: its first row is at position T. A row sees
/// the document and its own question up to itself.
struct QuestionRows {
  std::vector<std::int32_t> ids;      // [R], question after question
  std::vector<std::int32_t> targets;  // [R]: the next token, whose logit margin counts; -1: none
  std::vector<std::int64_t> begins;   // first row of every question, ascending from 0

  /// targets as long as ids.
  void add(std::span<const std::int32_t> question_ids, std::span<const std::int32_t> question_targets);
  std::int64_t num_rows() const { return static_cast<std::int64_t>(ids.size()); }
  std::int64_t num_questions() const { return static_cast<std::int64_t>(begins.size()); }
  std::int64_t end(std::int64_t question) const;  // of its rows
  /// Throws kInvalidArgument.
  void validate(std::int64_t vocab_size) const;
};

}  // namespace tca::runtime
