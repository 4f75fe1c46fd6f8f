// What an answer to a question of a file is worth, in [0, 1].
#pragma once

#include <optional>
#include <string_view>

#include "evaluation/task_files.h"

namespace tca::evaluation {

/// The F1 of two texts' words as SQuAD counts them: small letters, no punctuation, no articles.
double token_f1(std::string_view said, std::string_view answer);

/// Of a text that is one number from its first character to its last.
std::optional<double> parse_number(std::string_view text);

/// Of what the model said: of a choice the letter, else any text. any: one of the answers stands in it, as a part of a
/// word too, capitals aside (of ASCII); all: the share of them that do; words: one stands in it as words of their own
/// (words_found); f1: the best token_f1; number: the first number in it is an answer, what follows its point aside
/// where the answer has none; choice: whether the letter is a right one.
double task_score(std::string_view said, const TaskQuestion& question);

}  // namespace tca::evaluation
