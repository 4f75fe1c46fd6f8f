// What natural facts and texts are made of: one table a set.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "evaluation/lookup_tasks.h"

namespace tca::evaluation {

using Words = std::span<const std::string_view>;

/// What a subject or an answer may be.
enum class Pool { kPerson, kTown, kNumber, kDate, kReason, kArticle, kColour, kMaterial, kJob, kPhrase, kKey };

/// "<s>" is the subject, "<a>" the answer. A heading makes a block of lines of it, each with a subject of its own.
struct FactTemplate {
  FactKind kind;
  Pool subject, answer;
  std::string_view sentence;
  std::string_view question;     // ends in a question mark
  std::string_view beginning;    // of a sentence that the answer completes
  std::string_view instruction;  // ends in a full stop
  std::string_view heading = {};
};

/// Articles are things ("brass compass"), written without "a"; jobs too. Reasons are things that happened.
struct FactTables {
  Words first_names, last_names, towns, reasons, articles, colours, materials, jobs, phrase_first, phrase_second, keys;
  Words months;
  std::array<int, 2> years, numbers;  // first and last
  std::span<const FactTemplate> templates;
  // Forms of a question: "<q>" is the direct question with a small letter, "<b>" the beginning.
  std::string_view quoting_form, completing_form;
};

const FactTables& fact_tables(FactSet set);
const FactTables& calibration_fact_tables();
const FactTables& evaluation_fact_tables();

/// Sentences about one topic; "{a|b}" is one of the alternatives.
using Topic = std::span<const std::string_view>;
std::span<const Topic> calibration_topics();
std::span<const Topic> evaluation_topics();

}  // namespace tca::evaluation
