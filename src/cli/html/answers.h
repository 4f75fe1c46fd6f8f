// What `tca eval --answers` wrote, read back and compared: untrusted files, every field checked.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/html/results.h"

namespace tca::cli::html {

/// What was asked, the same of every method.
struct AskedQuestion {
  std::string place = {};     // "document 3", "tasks.jsonl:3, question 2"
  std::string group = {};     // kind or task
  std::string question = {};  // empty: the document holds it
  std::string expected = {};
  bool operator==(const AskedQuestion&) const = default;
};

struct GivenAnswer {
  std::string generated = {};
  bool right = false;  // found, or with a score of 0.5 or more
};

struct MethodAnswers {
  std::string method = {};
  std::vector<GivenAnswer> answers = {};  // in the order of the questions
};

/// All answers of one run.
struct AnswerFile {
  std::string file = {};
  std::vector<AskedQuestion> questions = {};
  std::vector<MethodAnswers> methods = {};
};

/// Throws kBadFile with file, line, field, value and what was expected; so where a method was not asked what the first
/// one was.
AnswerFile parse_answers(std::string_view content, const std::string& file);

/// The place of the result that these answers are of, by methods, numbers of questions and of right answers; `taken`
/// says which have theirs. Throws kInvalidArgument where they fit none, saying how the nearest differs.
std::size_t result_of(const AnswerFile& answers, std::span<const Result> results, const std::vector<bool>& taken);

/// Places of the questions that full attention or another method got right, and not both of them. Empty without full.
std::vector<std::size_t> differing(const AnswerFile& answers);

}  // namespace tca::cli::html
