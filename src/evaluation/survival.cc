#include "evaluation/survival.h"

#include <algorithm>
#include <map>

#include "core/check.h"
#include "evaluation/random.h"

namespace tca::evaluation {
namespace {

constexpr std::int64_t kResamples = 2000;
constexpr double kTail = 0.025;  // on each side

// For each document of which the reference answered any question: whether each of those survived.
using Documents = std::vector<std::vector<bool>>;

double resampled_share(const Documents& documents, Random& random) {
  Survivors drawn;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const std::vector<bool>& answers = documents[static_cast<std::size_t>(random.below(std::ssize(documents)))];
    for (std::size_t j = 0; j < answers.size(); ++j) {
      const auto answer = static_cast<std::size_t>(random.below(static_cast<std::int64_t>(answers.size())));
      drawn.survived += answers[answer] ? 1 : 0;
    }
    drawn.found += static_cast<std::int64_t>(answers.size());
  }
  return drawn.share();
}

}  // namespace

std::optional<Survival::Group> Survival::worst() const {
  const auto worst = std::min_element(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
    return a.survivors.share() < b.survivors.share();
  });
  return worst == groups.end() ? std::nullopt : std::optional(*worst);
}

Survival survival_of(std::span<const Outcome> outcomes, std::uint64_t seed) {
  Survival result;
  std::map<std::int64_t, Survival::Group> groups;
  std::map<std::int64_t, std::vector<bool>> by_document;
  for (const Outcome& outcome : outcomes) {
    Survival::Group& group = groups[outcome.group];
    group.name = outcome.group_name;
    for (Survivors* const survivors : {&result.total, &group.survivors}) {
      ++survivors->found;
      survivors->survived += outcome.survived ? 1 : 0;
    }
    by_document[outcome.document].push_back(outcome.survived);
  }
  for (auto& [place, group] : groups) result.groups.push_back(std::move(group));
  if (outcomes.empty()) return result;

  Documents documents;
  for (auto& [document, answers] : by_document) documents.push_back(std::move(answers));
  Random random(seed);
  std::vector<double> shares;
  for (std::int64_t i = 0; i < kResamples; ++i) shares.push_back(resampled_share(documents, random));
  std::sort(shares.begin(), shares.end());
  const auto at = static_cast<std::size_t>(kTail * kResamples);
  result.low = shares[at];
  result.high = shares[shares.size() - 1 - at];
  return result;
}

Survival survival(const LookupResult& reference, const LookupResult& other, std::uint64_t seed) {
  check_argument(reference.answers.size() == other.answers.size(), "'", other.method, "' has ", other.answers.size(),
                 " answers; expected the ", reference.answers.size(), " of '", reference.method, "'");
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < reference.answers.size(); ++i) {
    const Answer &expected = reference.answers[i], &answer = other.answers[i];
    check_argument(expected.document == answer.document && expected.fact == answer.fact, "answer ", i, " of '",
                   other.method, "' is of another question than that of '", reference.method, "'");
    if (!expected.found) continue;
    outcomes.push_back(
        {answer.document, static_cast<std::int64_t>(answer.kind), fact_kind_name(answer.kind), answer.found});
  }
  return survival_of(outcomes, seed);
}

}  // namespace tca::evaluation
