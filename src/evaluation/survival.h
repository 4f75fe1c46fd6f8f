// How many answers of one way to read survive another.
#pragma once

#include <cstdint>
#include <optional>
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
  struct Kind {
    FactKind kind;
    Survivors survivors;
  };
  std::vector<Kind> kinds = {};  // those of which the reference answered any, in the order of FactKind

  /// The kind with the smallest share; none where the reference answered nothing.
  std::optional<Kind> worst() const;
};

/// Both results are of the same documents, asked in the same order; throws kInvalidArgument where they are not.
Survival survival(const LookupResult& reference, const LookupResult& other, std::uint64_t seed = 0);

}  // namespace tca::evaluation
