#include "calibration/measure_answers.h"

#include <cstddef>
#include <utility>

namespace tca::calibration {
namespace {

using evaluation::LookupDocument;

/// The documents with those questions alone that were answered.
std::vector<LookupDocument> answered(std::span<const LookupDocument> documents,
                                     std::span<const evaluation::Answer> answers) {
  std::vector<LookupDocument> result;
  for (std::size_t d = 0; d < documents.size(); ++d) {
    const LookupDocument& from = documents[d];
    LookupDocument to{.context = from.context, .facts = {}, .questions = {}, .next_questions = {}, .answers = {}};
    for (const evaluation::Answer& answer : answers) {
      if (answer.document != static_cast<std::int32_t>(d) || !answer.found) continue;
      const auto fact = static_cast<std::size_t>(answer.fact);
      to.facts.push_back(from.facts[fact]);
      to.questions.push_back(from.questions[fact]);
      to.next_questions.push_back(from.next_questions[fact]);
      to.answers.push_back(from.answers[fact]);
    }
    if (!to.facts.empty()) result.push_back(std::move(to));
  }
  return result;
}

}  // namespace

std::vector<MeasuredAnswers> measure_answers(const evaluation::Setup& setup,
                                             const std::shared_ptr<const Profile>& profile,
                                             std::span<const LookupDocument> documents, std::span<const double> shares,
                                             const runtime::Progress& progress) {
  if (documents.empty()) return {};
  const auto ask = [&](std::span<const LookupDocument> of, const runtime::SessionOptions& options) {
    return evaluation::evaluate_lookup(setup, {.name = "", .options = options}, of, evaluation::AskOrder::kLater,
                                       progress);
  };
  const evaluation::LookupResult full = ask(documents, {.attention = runtime::AttentionMode::kFull});
  const std::vector<LookupDocument> asked = answered(documents, full.answers);
  if (asked.empty()) return {};
  std::vector<MeasuredAnswers> measured;
  for (const double keep : shares) {
    const evaluation::Score kept =
        ask(asked,
            {.attention = runtime::AttentionMode::kTca, .profile = profile, .keep = keep, .objective = kAnswerRisk})
            .total;
    measured.push_back({.keep = keep, .answers_kept = kept.found_share(), .questions = kept.questions});
  }
  return measured;
}

}  // namespace tca::calibration
