// What counts as an answer, by hand.
#include "evaluation/answers.h"

#include <gtest/gtest.h>

namespace tca::evaluation {
namespace {

bool found(std::string_view text, const std::string& answer) {
  Fact fact;
  fact.answer = answer;
  return answer_found(text, fact);
}

TEST(Answers, TheValueMayStandInASentence) {
  EXPECT_TRUE(found("12345", "12345"));
  EXPECT_TRUE(found("The special magic number for a-b mentioned in the text is 12345.", "12345"));
  EXPECT_TRUE(found("It is **12,345**!", "12345"));
  EXPECT_TRUE(found("REGISTER_CONTENT is <12345>", "12345"));
  EXPECT_TRUE(found("The secret ingredient is Smoked\nPepper.", "smoked pepper"));
}

TEST(Answers, APartOfAWordIsNoAnswer) {
  EXPECT_FALSE(found("", "12345"));
  EXPECT_FALSE(found("112345", "12345"));
  EXPECT_FALSE(found("12345f0 it is", "12345"));
  EXPECT_FALSE(found("1234", "12345"));
  EXPECT_FALSE(found("123 45", "12345"));
  EXPECT_FALSE(found("smoked peppers", "smoked pepper"));
  EXPECT_TRUE(found("not 112345 but 12345", "12345"));
}

TEST(Answers, AllOfSeveralValuesInAnyOrder) {
  EXPECT_TRUE(found("123, 456", "123, 456"));
  EXPECT_TRUE(found("They are 456 and 123.", "123, 456"));
  EXPECT_TRUE(found("456,123", "123, 456"));
  EXPECT_FALSE(found("123", "123, 456"));
  EXPECT_FALSE(found("There are two.", "123, 456"));
}

TEST(Answers, AnyAcceptedSpellingOfANaturalFact) {
  Fact fact{.kind = FactKind::kDate, .answer = "14 June 1943"};
  fact.accepted = {"14 June 1943", "June 14 1943", "14th of June 1943"};
  for (const char* right :
       {"14 June 1943", "It was on June 14, 1943.", "on the 14th of  June,\n1943", "\"14 JUNE 1943\""})
    EXPECT_TRUE(answer_found(right, fact)) << right;
  for (const char* wrong : {"", "14 June", "June 1943", "114 June 1943", "14 June 19431", "14 July 1943"})
    EXPECT_FALSE(answer_found(wrong, fact)) << wrong;
  fact.accepted = {"842", "eight hundred and forty two"};
  for (const char* right : {"842", "It cost $842.", "eight hundred and forty-two", "**842** people"})
    EXPECT_TRUE(answer_found(right, fact)) << right;
  for (const char* wrong : {"8420", "eight hundred", "1,842"}) EXPECT_FALSE(answer_found(wrong, fact)) << wrong;
  fact.accepted = {"O'Neil"};
  EXPECT_TRUE(answer_found("That is O'Neil's work.", fact));
  fact.accepted = {"..."};
  EXPECT_FALSE(answer_found("...", fact));
}

TEST(Answers, NaturalAnswersAreShort) {
  EXPECT_EQ(max_answer_tokens({.kind = FactKind::kDate}, 5), kNaturalAnswerTokens);
  EXPECT_EQ(max_answer_tokens({.kind = FactKind::kNumber}, 5), 5 + kSpareAnswerTokens);
}

}  // namespace
}  // namespace tca::evaluation
