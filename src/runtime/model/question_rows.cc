#include "runtime/model/question_rows.h"

#include <algorithm>

#include "core/check.h"

namespace tca::runtime {

void QuestionRows::add(std::span<const std::int32_t> question_ids, std::span<const std::int32_t> question_targets) {
  check_argument(question_targets.size() == question_ids.size(), "a question of ", question_ids.size(), " ids has ",
                 question_targets.size(), " targets");
  begins.push_back(num_rows());
  ids.insert(ids.end(), question_ids.begin(), question_ids.end());
  targets.insert(targets.end(), question_targets.begin(), question_targets.end());
}

std::int64_t QuestionRows::end(std::int64_t question) const {
  const auto next = static_cast<std::size_t>(question) + 1;
  return next < begins.size() ? begins[next] : num_rows();
}

void QuestionRows::validate(std::int64_t vocab) const {
  check_argument(!ids.empty() && targets.size() == ids.size(), "there are ", ids.size(), " rows of questions and ",
                 targets.size(), " targets; expected as many, and at least one");
  for (std::size_t i = 0; i < ids.size(); ++i) {
    check_argument(ids[i] >= 0 && ids[i] < vocab, "id ", ids[i], " of row ", i, " is not in the vocabulary of ", vocab);
    check_argument(targets[i] >= -1 && targets[i] < vocab, "target ", targets[i], " of row ", i,
                   " is neither -1 nor in the vocabulary of ", vocab);
  }
  check_argument(!begins.empty() && begins.front() == 0, "the first question does not begin at row 0");
  for (std::int64_t question = 0; question < num_questions(); ++question) {
    const std::int64_t begin = begins[static_cast<std::size_t>(question)];
    check_argument(begin < end(question), "question ", question, " has rows from ", begin, " to ", end(question),
                   "; expected at least one");
  }
}

}  // namespace tca::runtime
