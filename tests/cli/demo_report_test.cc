// The demo's words must follow its numbers, whichever side they fall on.
#include "cli/demo_report.h"

#include <gtest/gtest.h>

#include <sstream>

namespace tca::cli {
namespace {

DemoDocument document_with(int facts) {
  DemoDocument document;
  document.title = "novel.txt";
  document.lookup.context.resize(32768);
  for (int i = 0; i < facts; ++i) {
    evaluation::Fact fact;
    fact.question = "What is the special magic number for a-" + std::to_string(i) + " mentioned in the text?";
    fact.answer = std::to_string(1000 + i);
    document.lookup.facts.push_back(fact);
  }
  return document;
}

// The first `right` answers are right, the others not.
DemoRun run_with(const DemoDocument& document, int right, double seconds, std::size_t kv_bytes) {
  DemoRun run;
  for (std::size_t i = 0; i < document.lookup.facts.size(); ++i) {
    run.answers.push_back(static_cast<int>(i) < right ? document.lookup.facts[i].answer : "none of it");
  }
  run.first_token_seconds = seconds;
  run.generated_tokens = 100;
  run.generate_seconds = 2;
  run.kv_bytes = kv_bytes;
  run.full_kv_bytes = 64u << 20;
  run.kept_share = static_cast<double>(kv_bytes) / (64u << 20);
  return run;
}

TEST(DemoReport, AnAnswerInASentenceCounts) {
  const DemoDocument document = document_with(1);
  DemoRun full = run_with(document, 1, 1, 1u << 20), tca = full;
  full.answers[0] = "The special magic number for a-0 is 1000.";
  tca.answers[0] = "It is 10000.";
  EXPECT_EQ(run_json(document, full)["right"], 1);
  EXPECT_EQ(run_json(document, tca)["right"], 0);
}

TEST(DemoReport, QuestionsAreShortened) {
  EXPECT_EQ(short_question("What is the special magic number for a-b mentioned in the text?"), "magic number for a-b");
  EXPECT_EQ(short_question("Which value does the record 12ab map to?"), "record 12ab");
  EXPECT_EQ(short_question("Tell me the REGISTER_CONTENT in line a-b."), "line a-b");
  EXPECT_EQ(short_question("Something else"), "Something else");
  EXPECT_EQ(short_question(""), "");
}

TEST(DemoReport, VerdictNothingLost) {
  const DemoDocument document = document_with(12);
  const std::string text =
      demo_verdict(document, run_with(document, 10, 20, 64u << 20), run_with(document, 10, 8, 12u << 20));
  EXPECT_EQ(text,
            "TCA kept 19 % of the KV cache (12.0 MiB of 64.0 MiB) and answered 2.5 times sooner.\n"
            "It cost no answer: what full attention got right (10 of 12), TCA got right.");
}

TEST(DemoReport, VerdictSaysWhatWasLostAndThatItWasSlower) {
  const DemoDocument document = document_with(12);
  const std::string text =
      demo_verdict(document, run_with(document, 10, 10, 64u << 20), run_with(document, 8, 15, 32u << 20));
  EXPECT_EQ(text,
            "TCA kept 50 % of the KV cache (32.0 MiB of 64.0 MiB) and answered 1.5 times later.\n"
            "It cost 2 of the 10 answers that full attention got right.");
}

TEST(DemoReport, VerdictSaysWhatWasGained) {
  const DemoDocument document = document_with(3);
  const std::string text =
      demo_verdict(document, run_with(document, 1, 10, 64u << 20), run_with(document, 2, 10, 64u << 20));
  EXPECT_NE(text.find("and 1 more that full attention missed."), std::string::npos) << text;
  const Json comparison =
      comparison_json(document, run_with(document, 1, 10, 64u << 20), run_with(document, 2, 10, 64u << 20));
  EXPECT_EQ(comparison["answers_lost"], 0);
  EXPECT_EQ(comparison["answers_gained"], 1);
}

TEST(DemoReport, TablesFitAHundredColumns) {
  DemoDocument document = document_with(12);
  document.lookup.facts[3].question = "What are all the special magic numbers for " + std::string(90, 'x') + "?";
  document.lookup.facts[4].answer = std::string(80, '7');
  DemoRun tca = run_with(document, 2, 8, 12u << 20);
  tca.answers[5] = "a very long answer that goes on and on\nover two lines and more than a hundred columns in all";
  const std::string text = demo_tables(document, run_with(document, 12, 20, 64u << 20), tca, Style(false));
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) EXPECT_LE(display_width(line), 100u) << line;
  EXPECT_NE(text.find("miss: a very long"), std::string::npos);
}

TEST(DemoReport, NoGeneratedTokensDivideByNothing) {
  const DemoDocument document = document_with(1);
  DemoRun silent = run_with(document, 0, 1, 1u << 20);
  silent.generated_tokens = 0;
  silent.generate_seconds = 0;
  EXPECT_EQ(silent.tokens_per_second(), 0);
}

}  // namespace
}  // namespace tca::cli
