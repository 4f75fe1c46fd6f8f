// How many answers of one way to read survive another.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/quality.h"

namespace tca::evaluation {

struct Survivors {
  std::int64_t found = 0;     // questions the reference answered
  std::int64_t survived = 0;  // of those, answered by the other way too

  double share() const { return found > 0 ? static_cast<double>(survived) / static_cast<double>(found) : 1; }
};

struct Survival {
  Survivors total;
  /// Of share(), 95 % by bootstrap: documents are drawn with replacement, then questions of each.
  double low = 1, high = 1;
  struct Group {
    std::string name;
    Survivors survivors;
  };
  std::vector<Group> groups = {};  // those of which the reference answered any, in order

  /// The group with the smallest share; none where the reference answered nothing.
  std::optional<Group> worst() const;
};

/// Of a question that the reference answered.
struct Outcome {
  std::int64_t document = 0;
  std::int64_t group = 0;  // its place among the groups
  std::string_view group_name = {};
  bool survived = false;
};
Survival survival_of(std::span<const Outcome> outcomes, std::uint64_t seed);

/// Groups are the kinds of facts. Both results are of the same documents, asked in the same order; throws
/// kInvalidArgument where they are not.
Survival survival(const LookupResult& reference, const LookupResult& other, std::uint64_t seed = 0);

}  // namespace tca::evaluation
