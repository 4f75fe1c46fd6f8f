// Natural facts in documents: between sentences, whole, found by their questions.
#include <gtest/gtest.h>

#include "core/file.h"
#include "evaluation/lookup_tasks.h"
#include "evaluation/natural_facts.h"

namespace tca::evaluation {
namespace {

using runtime::ChatFrames;
using runtime::ChatTemplate;
using runtime::Tokenizer;

class NaturalDocuments : public testing::Test {
 protected:
  const Tokenizer tokenizer_ = Tokenizer::load(TCA_SOURCE_DIR "/models/lookback-28m");
  const ChatFrames frames_{ChatTemplate::load(TCA_SOURCE_DIR "/models/lookback-28m", tokenizer_)};

  static LookupOptions options(FactSet set, std::uint64_t seed) {
    return {.context_tokens = 4096,
            .num_facts = kNaturalFacts,
            .kinds = natural_kinds(set),
            .fact_set = set,
            .random_start = true,
            .seed = seed};
  }
};

TEST_F(NaturalDocuments, FactsStandWholeBetweenSentences) {
  for (const FactSet set : {FactSet::kCalibration, FactSet::kEvaluation}) {
    const LookupGenerator generator(tokenizer_, frames_, natural_text(set, 100'000, 1));
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const LookupDocument document = generator.make(options(set, seed));
      EXPECT_EQ(document.context.size(), 4096u);
      std::string text = tokenizer_.decode(document.context);
      for (const Fact& fact : document.facts) {
        for (const auto& sentences : {fact.sentences, fact.distractors}) {
          for (const std::string& sentence : sentences) {
            const std::size_t at = text.find(sentence);
            ASSERT_NE(at, std::string::npos) << sentence;
            EXPECT_EQ(text.find(sentence, at + 1), std::string::npos) << sentence;
            // Behind a sentence, another fact, the end of a block, or the beginning of the document.
            const std::string before = text.substr(0, at);
            EXPECT_TRUE(before.ends_with('.') || before.ends_with("user\n") || before.ends_with('\n'))
                << before.substr(before.size() - std::min<std::size_t>(40, before.size())) << sentence;
          }
        }
      }
    }
  }
}

TEST_F(NaturalDocuments, ATextOfTheUsersIsCutBetweenSentencesToo) {
  const std::string novel = read_file(TCA_SOURCE_DIR "/examples/data/michael-armstrong.txt", 4 << 20);
  const LookupGenerator generator(tokenizer_, frames_, novel);
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const LookupDocument document = generator.make(options(FactSet::kEvaluation, seed));
    const std::string text = tokenizer_.decode(document.context);
    for (const Fact& fact : document.facts) {
      const std::size_t at = text.find(fact.sentences[0]);
      ASSERT_NE(at, std::string::npos);
      EXPECT_NE(std::string_view(".?!)\"\n").find(text[at - 1]), std::string_view::npos) << text.substr(at - 40, 80);
    }
  }
}

TEST_F(NaturalDocuments, FactsOfASeedDoNotDependOnTheLength) {
  const LookupGenerator generator(tokenizer_, frames_, natural_text(FactSet::kEvaluation, 100'000, 1));
  LookupOptions longer = options(FactSet::kEvaluation, 9), shorter = longer;
  shorter.context_tokens = 2048;
  const LookupDocument a = generator.make(longer), b = generator.make(shorter), c = generator.make(longer);
  EXPECT_EQ(a.questions, b.questions);
  EXPECT_EQ(a.answers, b.answers);
  EXPECT_EQ(a.context, c.context);
  EXPECT_EQ(b.context.size(), 2048u);
}

}  // namespace
}  // namespace tca::evaluation
