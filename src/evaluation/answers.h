// When a generated text counts as an answer.
#pragma once

#include <string_view>

#include "evaluation/lookup_tasks.h"

namespace tca::evaluation {

/// Most tokens of an answer beyond those of the value: a chat model begins with a sentence.
inline constexpr std::int64_t kSpareAnswerTokens = 64;
/// Room for a question and its answer behind a document: the longest forms take about 80 tokens.
inline constexpr std::int64_t kTokensPerQuestion = 96 + kSpareAnswerTokens;

/// Whether every value of a fact's answer stands in the text as a word of its own: in any order, capitals, spaces and
/// commas inside numbers aside.
bool answer_found(std::string_view text, const Fact& fact);

}  // namespace tca::evaluation
