// When a generated text counts as an answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/lookup_tasks.h"

namespace tca::evaluation {

/// Most tokens of an answer beyond those of the value: a chat model begins with a sentence.
inline constexpr std::int64_t kSpareAnswerTokens = 64;
/// Most tokens of an answer to a natural fact: one sentence.
inline constexpr std::int64_t kNaturalAnswerTokens = 24;
/// Room for a question and its answer behind a document: the longest forms take about 80 tokens.
inline constexpr std::int64_t kTokensPerQuestion = 96 + kSpareAnswerTokens;

/// Most tokens to generate for a fact whose answer has so many.
std::int64_t max_answer_tokens(const Fact& fact, std::int64_t answer_tokens);

/// The values of a fact's answer, which has ", " between them.
std::vector<std::string> answer_values(std::string_view answer);

/// Whether every value of a fact's answer stands in the text as a word of its own: in any order, capitals, spaces and
/// commas inside numbers aside. Of a natural fact, whether one of the accepted spellings does, punctuation aside, too.
bool answer_found(std::string_view text, const Fact& fact);

/// Whether an answer's words stand in the text as words of their own: capitals, punctuation and commas inside numbers
/// aside. False where it has no words.
bool words_found(std::string_view text, std::string_view answer);

}  // namespace tca::evaluation
