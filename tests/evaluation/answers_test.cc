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

}  // namespace
}  // namespace tca::evaluation
