// What an answer to a question of a file is worth, in [0, 1].
#pragma once

#include <string_view>

#include "evaluation/task_files.h"

namespace tca::evaluation {

/// The F1 of two texts' words as SQuAD counts them: small letters, no punctuation, no articles.
double token_f1(std::string_view said, std::string_view answer);

/// Of what the model said: of a choice the letter, else any text. any: one of the answers stands in it (words_found);
/// all: the share of them that do; f1: the best token_f1; choice: whether the letter is a right one.
double task_score(std::string_view said, const TaskQuestion& question);

}  // namespace tca::evaluation
