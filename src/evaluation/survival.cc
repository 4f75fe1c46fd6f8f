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

std::optional<Survival::Kind> Survival::worst() const {
  const auto worst = std::min_element(kinds.begin(), kinds.end(), [](const Kind& a, const Kind& b) {
    return a.survivors.share() < b.survivors.share();
  });
  return worst == kinds.end() ? std::nullopt : std::optional(*worst);
}

Survival survival(const LookupResult& reference, const LookupResult& other, std::uint64_t seed) {
  check_argument(reference.answers.size() == other.answers.size(), "'", other.method, "' has ", other.answers.size(),
                 " answers; expected the ", reference.answers.size(), " of '", reference.method, "'");
  Survival result;
  std::map<FactKind, Survivors> kinds;
  std::map<std::int32_t, std::vector<bool>> by_document;
  for (std::size_t i = 0; i < reference.answers.size(); ++i) {
    const Answer &expected = reference.answers[i], &answer = other.answers[i];
    check_argument(expected.document == answer.document && expected.fact == answer.fact, "answer ", i, " of '",
                   other.method, "' is of another question than that of '", reference.method, "'");
    if (!expected.found) continue;
    for (Survivors* const survivors : {&result.total, &kinds[answer.kind]}) {
      ++survivors->found;
      survivors->survived += answer.found ? 1 : 0;
    }
    by_document[answer.document].push_back(answer.found);
  }
  for (const auto& [kind, survivors] : kinds) result.kinds.push_back({kind, survivors});
  if (result.total.found == 0) return result;

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

}  // namespace tca::evaluation
