#include <fmt/format.h>

#include <algorithm>

#include "cli/format.h"
#include "cli/html/sections.h"

namespace tca::cli::html {
namespace {

// Texts of tasks can be as long as a document.
constexpr std::size_t kMostCharacters = 400;

// Directions of writing inside a text must not reach what stands around it.
Markup quoted(const std::string& text) { return element("bdi", shortened(text, kMostCharacters)); }

Markup answer_row(const MethodAnswers& method, std::size_t place) {
  const GivenAnswer& answer = method.answers[place];
  const Markup verdict = element("span", {{"class", answer.right ? "verdict right" : "verdict wrong"}},
                                 answer.right ? "✓ right" : "✗ wrong");
  const Markup said =
      answer.generated.empty() ? element("span", {{"class", "note"}}, "nothing") : quoted(answer.generated);
  return element("div", element("dt", escaped(method.method) + verdict) + element("dd", said));
}

Markup card(const AnswerFile& answers, std::size_t place) {
  const AskedQuestion& asked = answers.questions[place];
  Markup rows;
  for (const MethodAnswers& method : answers.methods) rows += answer_row(method, place);
  Markup markup = element("p", {{"class", "note"}}, fmt::format("{} · {}", asked.group, asked.place));
  markup +=
      element("h4", asked.question.empty() ? escaped("(The document holds the question.)") : quoted(asked.question));
  markup += element("p", escaped("Expected: ") + element("strong", quoted(asked.expected)));
  return element("article", markup + element("dl", rows));
}

// "57 of 216 questions, 30 shown, 27 left out"
std::string counts(const ComparedAnswers& compared, std::size_t shown) {
  const std::size_t all = compared.differing.size();
  std::string text = fmt::format("{} of {}", format_count(static_cast<std::int64_t>(all)),
                                 counted(std::ssize(compared.answers.questions), "question"));
  if (shown < all) text += fmt::format(", the first {} shown, {} left out", shown, all - shown);
  return text;
}

}  // namespace

Markup answers_section(const Report& report) {
  const std::vector<std::string> labels = labels_of(report.results);
  Markup markup =
      element("p",
              "Questions that full attention gets right and another method does not, or the other way round. "
              "What the methods said is cut where it is long.");
  bool opened = false;
  for (const ComparedAnswers& compared : report.answers) {
    const std::size_t shown = std::min(compared.differing.size(), static_cast<std::size_t>(report.most_differences));
    Markup cards;
    for (std::size_t i = 0; i < shown; ++i) cards += card(compared.answers, compared.differing[i]);
    const std::string title = fmt::format("{}: {}", labels[compared.result], counts(compared, shown));
    if (shown == 0) {
      markup += element("p", title);
      continue;
    }
    const Markup inner = element("summary", title) + element("div", {{"class", "answers"}}, cards);
    // The first is enough to see what there is; a phone has a long way to what follows.
    markup += opened ? element("details", inner) : element("details", {{"open", ""}}, inner);
    opened = true;
  }
  return markup;
}

}  // namespace tca::cli::html
