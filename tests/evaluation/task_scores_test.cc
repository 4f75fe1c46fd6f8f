// Scores against values worked by hand.
#include "evaluation/task_scores.h"

#include <gtest/gtest.h>

namespace tca::evaluation {
namespace {

double score(TaskMetric metric, std::vector<std::string> answers, const std::string& said) {
  return task_score(said, {.answers = std::move(answers), .metric = metric});
}

TEST(TaskScores, AnyOfTheAnswers) {
  EXPECT_EQ(score(TaskMetric::kAny, {"Paris", "the capital"}, "It is PARIS, of course."), 1);
  EXPECT_EQ(score(TaskMetric::kAny, {"London", "The Capital"}, "It is the capital."), 1);
  EXPECT_EQ(score(TaskMetric::kAny, {"1234"}, "12345"), 1);  // a part of a word
  EXPECT_EQ(score(TaskMetric::kAny, {"12345"}, "12,345 it is"), 0);
  EXPECT_EQ(score(TaskMetric::kAny, {"the  capital"}, "It is the capital."), 0);  // spaces count
  EXPECT_EQ(score(TaskMetric::kAny, {"Paris"}, ""), 0);
}

TEST(TaskScores, AnswersAsWords) {
  EXPECT_EQ(score(TaskMetric::kWords, {"London", "The  Capital!"}, "It is the capital."), 1);
  EXPECT_EQ(score(TaskMetric::kWords, {"12345"}, "12,345 it is"), 1);
  EXPECT_EQ(score(TaskMetric::kWords, {"1234"}, "12345"), 0);
  EXPECT_EQ(score(TaskMetric::kWords, {"+"}, "It is +."), 1);  // has no words: as it stands
  EXPECT_EQ(score(TaskMetric::kWords, {"+"}, "It is -."), 0);
}

TEST(TaskScores, TheShareOfAllAnswers) {
  EXPECT_EQ(score(TaskMetric::kAll, {"one", "two", "three", "four"}, "Four, two and ONE."), 0.75);
  EXPECT_EQ(score(TaskMetric::kAll, {"one", "two"}, "twofold, none"), 1);
  EXPECT_EQ(score(TaskMetric::kAll, {"one"}, "two"), 0);
}

TEST(TaskScores, TokenF1AsSquad) {
  EXPECT_EQ(token_f1("The cat, sat.", "a Cat sat"), 1);
  // cat, sat, on, mat and cat, mat: precision 2/4, recall 2/2
  EXPECT_DOUBLE_EQ(token_f1("the cat sat on the mat", "cat mat"), 2 * 0.5 * 1 / 1.5);
  // Words count as often as both have them: precision 1/3, recall 1/2.
  EXPECT_DOUBLE_EQ(token_f1("no no no", "no way"), 2 * (1.0 / 3) * 0.5 / (1.0 / 3 + 0.5));
  EXPECT_EQ(token_f1("it's", "its"), 1);  // punctuation is left out where it stands
  EXPECT_EQ(token_f1("well-known", "well known"), 0);
  EXPECT_EQ(token_f1("theatre", "the atre"), 0);  // articles are words
  EXPECT_EQ(token_f1("", "x"), 0);
  EXPECT_EQ(token_f1("the", "a"), 0);
  EXPECT_EQ(score(TaskMetric::kF1, {"nothing alike", "cat mat", "dog"}, "cat mat"), 1);
}

TEST(TaskScores, TheFirstNumberCounts) {
  EXPECT_EQ(score(TaskMetric::kNumber, {"71432"}, "The pass key is 71432. Remember 5."), 1);
  EXPECT_EQ(score(TaskMetric::kNumber, {"71432"}, "Of 5 keys it is 71432."), 0);
  EXPECT_EQ(score(TaskMetric::kNumber, {"3", "44"}, "44.75"), 1);  // what follows the point counts of 2.5 alone
  EXPECT_EQ(score(TaskMetric::kNumber, {"2.5"}, "2.50"), 1);
  EXPECT_EQ(score(TaskMetric::kNumber, {"2.5"}, "2.51"), 0);
  EXPECT_EQ(score(TaskMetric::kNumber, {"2.5"}, "2"), 0);
  EXPECT_EQ(score(TaskMetric::kNumber, {"7"}, "7."), 1);
  EXPECT_EQ(score(TaskMetric::kNumber, {"7"}, "seven"), 0);
  EXPECT_EQ(score(TaskMetric::kNumber, {"7"}, ""), 0);
  EXPECT_EQ(score(TaskMetric::kNumber, {"7"}, std::string(400, '9')), 0);  // more than a number can be
}

TEST(TaskScores, NumbersAreNothingElse) {
  EXPECT_EQ(parse_number("-2.5"), -2.5);
  for (const char* const text : {"", "7 ", "7a", "a", "inf", "nan"}) EXPECT_FALSE(parse_number(text)) << text;
}

TEST(TaskScores, ChoicesAreLetters) {
  EXPECT_EQ(score(TaskMetric::kChoice, {"B"}, "B"), 1);
  EXPECT_EQ(score(TaskMetric::kChoice, {"B"}, "A"), 0);
  EXPECT_EQ(score(TaskMetric::kChoice, {"A", "C"}, "C"), 1);
}

}  // namespace
}  // namespace tca::evaluation
