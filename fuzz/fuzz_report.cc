// Results of eval and their answers: what is accepted makes a page that nothing of theirs can run in. An input is a
// file of results, a NUL byte and a file of answers.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/html/answers.h"
#include "cli/html/report_page.h"
#include "cli/html/results.h"
#include "tca/error.h"

namespace {

using namespace tca::cli::html;

void check(bool ok) {
  if (!ok) std::abort();
}

void add_answers(std::string_view content, Report& report) {
  try {
    AnswerFile answers = parse_answers(content, "answers.jsonl");
    const std::size_t result = result_of(answers, report.results, {false});
    std::vector<std::size_t> places = differing(answers);
    report.answers.push_back({std::move(answers), result, std::move(places)});
  } catch (const tca::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = std::min(input.find('\0'), size);
  Report report;
  try {
    report.results.push_back(parse_result(input.substr(0, split), "results.json"));
  } catch (const tca::Error&) {
    return 0;
  }
  report.most_differences = 10;
  if (split < size) add_answers(input.substr(split + 1), report);
  const std::string page = report_page(report);
  check(page.find("<script") == std::string::npos && page.find("<img") == std::string::npos);
  check(page.substr(page.size() - 8) == "</html>\n");
  return 0;
}
