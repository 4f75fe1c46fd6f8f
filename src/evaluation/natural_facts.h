// Facts as people write them, and a text to plant them in: for models that were trained on no facts of ours.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "evaluation/lookup_tasks.h"
#include "evaluation/random.h"

namespace tca::evaluation {

/// Usual number of facts in a document of 4096 tokens; each comes with a distractor.
inline constexpr std::int32_t kNaturalFacts = 12;

/// The kinds a set has templates for: lists, tables, dialogue and settings are of the calibration set alone.
std::vector<FactKind> natural_kinds(FactSet set);

/// count bytes of paragraphs about everyday things, or up to a paragraph more. Few sentences of 100 KB come twice.
std::string natural_text(FactSet set, std::int64_t count, std::uint64_t seed);

struct FactTables;

/// No two facts of one maker say something of the same subject by the same template.
class NaturalFactMaker {
 public:
  NaturalFactMaker(FactSet set, Random& random);
  Fact make(FactKind kind);

 private:
  const FactTables& tables_;
  Random& random_;
  std::set<std::string> used_;  // subjects so far, with their templates
};

}  // namespace tca::evaluation
