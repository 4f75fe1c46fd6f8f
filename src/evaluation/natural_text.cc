// Paragraphs about everyday things, for documents that nobody gave a text for.
#include <algorithm>
#include <numeric>
#include <set>

#include "core/check.h"
#include "evaluation/fact_tables.h"
#include "evaluation/natural_facts.h"

namespace tca::evaluation {
namespace {

constexpr std::int64_t kFewestSentences = 4, kMostSentences = 7;  // of a paragraph
constexpr int kRetries = 20;

// One alternative of each "{a|b}".
std::string expand(std::string_view form, Random& random) {
  std::string sentence;
  while (!form.empty()) {
    const std::size_t open = std::min(form.find('{'), form.size());
    sentence += form.substr(0, open);
    form.remove_prefix(open);
    if (form.empty()) break;
    const std::size_t close = form.find('}');
    std::string_view choices = form.substr(1, close - 1);
    form.remove_prefix(close + 1);
    for (std::int64_t skip = random.below(1 + std::count(choices.begin(), choices.end(), '|')); skip > 0; --skip) {
      choices.remove_prefix(choices.find('|') + 1);
    }
    sentence += choices.substr(0, choices.find('|'));
  }
  return sentence;
}

// Sentences of one topic, no two of one form, none that was used before while there are others.
std::string paragraph(Topic topic, Random& random, std::set<std::string>& used) {
  std::vector<std::size_t> order(topic.size());
  std::iota(order.begin(), order.end(), 0);
  std::string text;
  const std::int64_t sentences = random.between(kFewestSentences, std::min(kMostSentences, std::ssize(topic)));
  for (std::int64_t i = 0; i < sentences; ++i) {
    std::swap(order[static_cast<std::size_t>(i)],
              order[static_cast<std::size_t>(random.between(i, std::ssize(topic) - 1))]);
    if (i > 0) text += ' ';
    const std::string_view form = topic[order[static_cast<std::size_t>(i)]];
    std::string sentence = expand(form, random);
    for (int retry = 0; retry < kRetries && !used.insert(sentence).second; ++retry) sentence = expand(form, random);
    text += sentence;
  }
  return text;
}

}  // namespace

std::string natural_text(FactSet set, std::int64_t count, std::uint64_t seed) {
  check_argument(count >= 0, "count is ", count, "; expected 0 bytes or more");
  const std::span<const Topic> topics = set == FactSet::kCalibration ? calibration_topics() : evaluation_topics();
  Random random(seed);
  std::set<std::string> used;
  std::string text;
  std::int64_t last = -1;
  while (std::ssize(text) < count) {
    std::int64_t topic = random.below(std::ssize(topics));
    if (topic == last) topic = (topic + 1) % std::ssize(topics);
    last = topic;
    if (!text.empty()) text += "\n\n";
    text += paragraph(topics[static_cast<std::size_t>(topic)], random, used);
  }
  return text;
}

}  // namespace tca::evaluation
