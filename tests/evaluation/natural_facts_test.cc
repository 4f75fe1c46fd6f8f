// Two sets of natural facts and texts that share nothing, and facts that can be looked up.
#include "evaluation/natural_facts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "core/expect_error.h"
#include "evaluation/answers.h"
#include "evaluation/fact_tables.h"

namespace tca::evaluation {
namespace {

constexpr FactSet kSets[] = {FactSet::kCalibration, FactSet::kEvaluation};

std::vector<Fact> facts_of(FactSet set, int count, std::uint64_t seed) {
  Random random(seed);
  NaturalFactMaker maker(set, random);
  const std::vector<FactKind> kinds = natural_kinds(set);
  std::vector<Fact> facts;
  for (int i = 0; i < count; ++i) facts.push_back(maker.make(kinds[static_cast<std::size_t>(i) % kinds.size()]));
  return facts;
}

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + separator.size();
  }
  return parts;
}

std::vector<std::string> sentences_of(const std::string& text) {
  std::vector<std::string> sentences;
  for (const std::string& paragraph : split(text, "\n\n")) {
    for (const std::string& sentence : split(paragraph, ". ")) sentences.push_back(sentence);
  }
  return sentences;
}

std::size_t count_of(const std::string& text, const std::string& piece) {
  std::size_t count = 0;
  for (std::size_t at = text.find(piece); at != std::string::npos; at = text.find(piece, at + 1)) ++count;
  return count;
}

std::set<std::string_view> values(const FactTables& tables) {
  std::set<std::string_view> all;
  for (const Words words :
       {tables.first_names, tables.last_names, tables.towns, tables.reasons, tables.articles, tables.colours,
        tables.materials, tables.jobs, tables.phrase_first, tables.phrase_second, tables.keys, tables.months}) {
    all.insert(words.begin(), words.end());
  }
  return all;
}

TEST(NaturalFacts, TheSetsAreLargeEnough) {
  for (const FactSet set : kSets) {
    const FactTables& tables = fact_tables(set);
    EXPECT_GE(tables.templates.size(), 20u);
    EXPECT_GE(natural_kinds(set).size(), 8u);
    for (const Words names : {tables.first_names, tables.last_names, tables.towns}) EXPECT_GE(names.size(), 40u);
    for (const Words words : {tables.reasons, tables.articles, tables.jobs, tables.phrase_first, tables.phrase_second})
      EXPECT_GE(words.size(), 30u);
    for (const Words words : {tables.first_names, tables.last_names, tables.towns, tables.reasons, tables.articles,
                              tables.jobs, tables.phrase_first, tables.phrase_second}) {
      EXPECT_EQ(std::set<std::string_view>(words.begin(), words.end()).size(), words.size());
    }
  }
  for (const std::span<const Topic> topics : {calibration_topics(), evaluation_topics()}) {
    std::set<std::string_view> forms;
    for (const Topic topic : topics) forms.insert(topic.begin(), topic.end());
    EXPECT_GE(forms.size(), 60u);
  }
}

TEST(NaturalFacts, TheSetsShareNoValue) {
  const auto calibration = values(fact_tables(FactSet::kCalibration));
  const auto evaluation = values(fact_tables(FactSet::kEvaluation));
  for (const std::string_view value : evaluation) EXPECT_EQ(calibration.count(value), 0u) << value;
  const FactTables &a = fact_tables(FactSet::kCalibration), &b = fact_tables(FactSet::kEvaluation);
  EXPECT_TRUE(a.years[1] < b.years[0] || b.years[1] < a.years[0]);
  EXPECT_TRUE(a.numbers[1] < b.numbers[0] || b.numbers[1] < a.numbers[0]);
}

TEST(NaturalFacts, TheSetsShareNoTemplateAndNoQuestion) {
  std::set<std::string_view> seen;
  for (const FactSet set : kSets) {
    const FactTables& tables = fact_tables(set);
    for (const std::string_view form : {tables.quoting_form, tables.completing_form}) {
      EXPECT_TRUE(seen.insert(form).second) << form;
    }
    for (const FactTemplate& form : tables.templates) {
      for (const std::string_view part : {form.question, form.beginning, form.instruction}) {
        EXPECT_TRUE(seen.insert(part).second) << part;
      }
      // Lines of lists and tables are of any subject.
      if (form.heading.empty()) EXPECT_TRUE(seen.insert(form.sentence).second) << form.sentence;
    }
  }
  const auto first_words = [](std::string_view text) { return std::string(text.substr(0, text.find('<'))); };
  std::set<std::string> openings;
  for (const FactTemplate& form : fact_tables(FactSet::kCalibration).templates) {
    if (first_words(form.sentence).size() > 4) openings.insert(first_words(form.sentence));
  }
  for (const FactTemplate& form : fact_tables(FactSet::kEvaluation).templates) {
    EXPECT_EQ(openings.count(first_words(form.sentence)), 0u) << form.sentence;
  }
}

TEST(NaturalFacts, TheSetsShareNoSentence) {
  std::set<std::string> calibration, evaluation;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    for (std::string& s : sentences_of(natural_text(FactSet::kCalibration, 200'000, seed))) calibration.insert(s);
    for (std::string& s : sentences_of(natural_text(FactSet::kEvaluation, 200'000, seed))) evaluation.insert(s);
  }
  EXPECT_GT(calibration.size(), 4000u);
  for (const std::string& sentence : evaluation) EXPECT_EQ(calibration.count(sentence), 0u) << sentence;
}

TEST(NaturalFacts, TextIsFilledInSeldomRepeatsAndNamesNobody) {
  for (const FactSet set : kSets) {
    const std::string text = natural_text(set, 100'000, 4);
    EXPECT_GE(text.size(), 100'000u);
    EXPECT_LT(text.size(), 102'000u);
    EXPECT_EQ(text, natural_text(set, 100'000, 4));
    EXPECT_NE(text, natural_text(set, 100'000, 5));
    EXPECT_EQ(text.find_first_of("{}|<>"), std::string::npos);
    EXPECT_EQ(text.find("  "), std::string::npos);
    const std::vector<std::string> sentences = sentences_of(text);
    const std::set<std::string> different(sentences.begin(), sentences.end());
    EXPECT_GT(static_cast<double>(different.size()), 0.95 * static_cast<double>(sentences.size()));
    for (const std::string_view sentence : different) EXPECT_TRUE(sentence.front() >= 'A' && sentence.front() <= 'Z');
    const FactTables& tables = fact_tables(set);
    for (const Words names : {tables.first_names, tables.last_names, tables.towns}) {
      for (const std::string_view name : names) EXPECT_EQ(text.find(name), std::string::npos) << name;
    }
  }
}

TEST(NaturalFacts, EveryQuestionHasOneAnswer) {
  for (const FactSet set : kSets) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const std::vector<Fact> facts = facts_of(set, 24, seed);
      std::string planted;
      for (const Fact& fact : facts) {
        ASSERT_EQ(fact.sentences.size(), 1u);
        planted += fact.sentences[0];
        for (const std::string& distractor : fact.distractors) planted += distractor;
      }
      std::set<std::string> questions;
      for (const Fact& fact : facts) {
        EXPECT_TRUE(questions.insert(fact.question).second) << fact.question;
        EXPECT_TRUE(answer_found(fact.answer, fact)) << fact.answer;
        EXPECT_TRUE(answer_found(fact.sentences[0], fact)) << fact.sentences[0];
        EXPECT_FALSE(answer_found(fact.question, fact)) << fact.question << fact.answer;
        EXPECT_EQ(count_of(planted, fact.sentences[0]), 1u);
        EXPECT_LE(split(fact.answer, " ").size(), 4u) << fact.answer;
        EXPECT_EQ(fact.question.find_first_of("<>"), std::string::npos) << fact.question;
        for (const std::string& distractor : fact.distractors) EXPECT_FALSE(answer_found(distractor, fact));
        // A sentence has a distractor, a block its other lines.
        EXPECT_EQ(fact.distractors.size(), fact.sentences[0].front() == '\n' ? 0u : 1u);
      }
    }
  }
}

TEST(NaturalFacts, EveryTemplateIsUsedInEveryForm) {
  for (const FactSet set : kSets) {
    std::map<FactKind, int> kinds;
    std::string questions;
    for (const Fact& fact : facts_of(set, 600, 7)) {
      ++kinds[fact.kind];
      questions += fact.question + "\n";
    }
    EXPECT_EQ(kinds.size(), natural_kinds(set).size());
    for (const FactKind kind : natural_kinds(set)) EXPECT_TRUE(is_natural(kind));
    for (const FactTemplate& form : fact_tables(set).templates) {
      const auto opening = [](std::string_view text) { return std::string(text.substr(0, text.find('<'))); };
      EXPECT_NE(questions.find(opening(form.question)), std::string::npos) << form.question;
      EXPECT_NE(questions.find(opening(form.instruction)), std::string::npos) << form.instruction;
    }
  }
}

TEST(NaturalFacts, SeedsDecideEverything) {
  const auto a = facts_of(FactSet::kEvaluation, 12, 3), b = facts_of(FactSet::kEvaluation, 12, 3);
  const auto c = facts_of(FactSet::kEvaluation, 12, 4);
  bool differs = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].question, b[i].question);
    EXPECT_EQ(a[i].sentences, b[i].sentences);
    EXPECT_EQ(a[i].distractors, b[i].distractors);
    differs = differs || a[i].sentences != c[i].sentences;
  }
  EXPECT_TRUE(differs);
}

TEST(NaturalFacts, MoreFactsThanSubjects) {
  std::set<std::string> sentences;
  for (const Fact& fact : facts_of(FactSet::kEvaluation, 1024, 1)) sentences.insert(fact.sentences[0]);
  EXPECT_EQ(sentences.size(), 1024u);
}

TEST(NaturalFacts, KindsOfTheOtherSetAreRefused) {
  Random random(1);
  NaturalFactMaker maker(FactSet::kEvaluation, random);
  testing::expect_error(ErrorCategory::kInvalidArgument, "table row", [&] { maker.make(FactKind::kTableRow); });
}

}  // namespace
}  // namespace tca::evaluation
