// The whole page: safe with hostile files, and the same bytes for the same report.
#include "cli/html/report_page.h"

#include <gtest/gtest.h>

namespace tca::cli::html {
namespace {

constexpr char kHostile[] = "</script></style><img src=x onerror=alert(1)>\"'&";

MethodFigures method(const std::string& name, double kept, std::int64_t survived) {
  MethodFigures figures{.method = name, .kept_share = kept, .density = 1, .kv_bytes = 1e6 * kept, .read_seconds = 1};
  figures.total = {.questions = 10, .right = survived};
  figures.groups = {{.name = kHostile, .questions = 10, .right = survived}};
  figures.survival = SurvivalFigures{
      .found = 10, .survived = survived, .share = static_cast<double>(survived) / 10, .low = 0.1, .high = 1};
  figures.survival->worst = kHostile;
  figures.survival->groups = {{kHostile, 10, survived}};
  return figures;
}

Result result_of_length(std::int64_t tokens) {
  Result result{.file = kHostile, .version = kHostile, .shortest = tokens, .longest = tokens, .documents = 2};
  result.model = {kHostile, kHostile, kHostile, kHostile, kHostile, kHostile, 5};
  result.facts = result.ask = kHostile;
  result.questions = 5;
  result.methods = {method("full", 1, 10), method(std::string("tca:") + kHostile, 0.2, 8), method(kHostile, 0.1, 0)};
  return result;
}

AnswerFile hostile_answers() {
  AnswerFile answers{.file = kHostile};
  answers.questions.assign(3, {.place = kHostile, .group = kHostile, .question = kHostile, .expected = kHostile});
  answers.methods = {{.method = "full", .answers = {3, {.generated = kHostile, .right = true}}},
                     {.method = kHostile, .answers = {3, {.generated = kHostile, .right = false}}}};
  return answers;
}

Report hostile_report() {
  Report report{.results = {result_of_length(1024), result_of_length(4096)}, .most_differences = 2};
  report.answers.push_back({.answers = hostile_answers(), .result = 0, .differing = {0, 1, 2}});
  ProfileMaps maps{.file = kHostile};
  maps.maps = {{.title = kHostile, .shares = {{0.1, 0.9}}}};
  report.profile = maps;
  return report;
}

TEST(HtmlPage, HostileStringsStayText) {
  const std::string page = report_page(hostile_report());
  EXPECT_NE(page.find("&lt;img src=x onerror=alert(1)&gt;"), std::string::npos);
  for (const char* const tag : {"<img", "<script", "</script", "<iframe", "<link", "onerror=alert(1)>", "\"'&"}) {
    EXPECT_EQ(page.find(tag), std::string::npos) << tag;
  }
  // The one style sheet ends once.
  EXPECT_EQ(page.find("</style>"), page.rfind("</style>"));
}

TEST(HtmlPage, WhatIsLeftOutIsCounted) {
  const std::string page = report_page(hostile_report());
  EXPECT_NE(page.find("3 of 3 questions, the first 2 shown, 1 left out"), std::string::npos);
}

TEST(HtmlPage, LoadsNothingAndRunsNothing) {
  const std::string page = report_page(hostile_report());
  EXPECT_NE(page.find("content=\"default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;;"), std::string::npos);
  for (const char* const part : {"http://", "https://", "url(", "@import", " src=\"", "javascript:", " onclick"}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(page, report_page(hostile_report()));
}

TEST(HtmlPage, OneRunWithoutFullHasBarsAndSaysWhyNothingSurvives) {
  Report report{.results = {result_of_length(2048)}};
  report.results[0].methods.erase(report.results[0].methods.begin());
  for (MethodFigures& figures : report.results[0].methods) figures.survival.reset();
  const std::string page = report_page(report);
  EXPECT_NE(page.find("Full attention is not among the methods"), std::string::npos);
  EXPECT_EQ(page.find("<polyline"), std::string::npos);
  EXPECT_NE(page.find("KV cache, 2,048 tokens"), std::string::npos);
}

TEST(HtmlPage, CommandsAreSafeToPaste) {
  Report report{.results = {result_of_length(2048)}};
  report.results[0].model.name = "it's; rm -rf $HOME";
  const std::string page = report_page(report);
  EXPECT_NE(page.find("tca eval --model &#39;it&#39;\\&#39;&#39;s; rm -rf $HOME&#39; --facts"), std::string::npos);
}

}  // namespace
}  // namespace tca::cli::html
