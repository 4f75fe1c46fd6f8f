// The generator with the shipped tokenizer and texts: exact budgets, facts where they can be found, determinism.
#include "evaluation/lookup_tasks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/expect_error.h"
#include "core/file.h"
#include "tca/error.h"

namespace tca::evaluation {
namespace {

using runtime::ChatFrames;
using runtime::ChatTemplate;
using runtime::Tokenizer;
using Ids = std::vector<std::int32_t>;

const std::vector<FactKind> kAllKinds = {FactKind::kNumber,     FactKind::kRegisterLine, FactKind::kHexRecord,
                                         FactKind::kIngredient, FactKind::kMultiValue,   FactKind::kVariableChain,
                                         FactKind::kPassKey};

const Tokenizer& tokenizer() {
  static const Tokenizer instance = Tokenizer::load(TCA_SOURCE_DIR "/models/lookback-28m");
  return instance;
}

const std::string& novel() {
  static const std::string text = read_file(TCA_SOURCE_DIR "/examples/data/michael-armstrong.txt", 4 << 20);
  return text;
}

const ChatFrames& frames() {
  static const ChatFrames instance(ChatTemplate::load(TCA_SOURCE_DIR "/models/lookback-28m", tokenizer()));
  return instance;
}

const LookupGenerator& generator() {
  static const LookupGenerator instance(tokenizer(), frames(), novel());
  return instance;
}

// Where each piece of text is found, one after the other; -1 for what is not.
std::int64_t find_after(const std::string& text, const std::string& piece, std::int64_t from) {
  const std::size_t at = text.find(piece, static_cast<std::size_t>(from));
  return at == std::string::npos ? -1 : static_cast<std::int64_t>(at);
}

TEST(LookupGenerator, TheContextHasExactlyTheTokensAskedFor) {
  for (const std::int64_t tokens : {700, 1024, 4096, 32768}) {
    for (const bool random_start : {false, true}) {
      const LookupDocument document = generator().make({.context_tokens = tokens,
                                                        .num_facts = 6,
                                                        .random_start = random_start,
                                                        .seed = static_cast<std::uint64_t>(tokens)});
      EXPECT_EQ(std::ssize(document.context), tokens);
    }
  }
}

TEST(LookupGenerator, EveryKindIsPlantedWordByWordAndInOrder) {
  const LookupDocument document =
      generator().make({.context_tokens = 8192, .num_facts = 21, .kinds = kAllKinds, .random_start = true, .seed = 5});
  const std::string text = tokenizer().decode(document.context, /*skip_special_tokens=*/false);
  std::set<FactKind> kinds;
  for (const Fact& fact : document.facts) {
    kinds.insert(fact.kind);
    std::int64_t at = 0;
    for (const std::string& sentence : fact.sentences) {
      at = find_after(text, sentence, at);
      ASSERT_GE(at, 0) << sentence;
    }
    // The answer is there in full, or value by value.
    for (std::size_t begin = 0; begin < fact.answer.size();) {
      const std::size_t end = std::min(fact.answer.find(", ", begin), fact.answer.size());
      EXPECT_GE(find_after(text, fact.answer.substr(begin, end - begin), 0), 0) << fact.answer;
      begin = end + 2;
    }
  }
  EXPECT_EQ(kinds.size(), kAllKinds.size());
}

TEST(LookupGenerator, TheDocumentIsTheTextAroundTheFacts) {
  const LookupDocument document = generator().make({.context_tokens = 2048, .num_facts = 5, .seed = 3});
  std::string text = tokenizer().decode(document.context, /*skip_special_tokens=*/false);
  const std::string head = "<|endoftext|><|im_start|>user\n", tail = "<|im_end|>\n";
  ASSERT_TRUE(text.starts_with(head) && text.ends_with(tail));
  text = text.substr(head.size(), text.size() - head.size() - tail.size());
  for (const Fact& fact : document.facts) {
    for (const std::string& sentence : fact.sentences) {
      const std::int64_t at = find_after(text, sentence, 0);
      ASSERT_GE(at, 0);
      text.erase(static_cast<std::size_t>(at), sentence.size());
    }
  }
  EXPECT_TRUE(novel().starts_with(text));
}

TEST(LookupGenerator, QuestionsAndAnswersHaveTheTrainedForm) {
  const LookupDocument document = generator().make({.context_tokens = 2048, .num_facts = 5, .kinds = kAllKinds});
  for (std::size_t i = 0; i < document.facts.size(); ++i) {
    EXPECT_EQ(tokenizer().decode(document.questions[i], /*skip_special_tokens=*/false),
              "<|im_start|>user\n" + document.facts[i].question + "<|im_end|>\n<|im_start|>assistant\n");
    EXPECT_EQ(document.next_questions[i], document.questions[i]);
    EXPECT_EQ(tokenizer().decode(document.answers[i]), document.facts[i].answer);
  }
}

TEST(LookupGenerator, SentencesOfEachKind) {
  const auto facts = generator().make_facts({.num_facts = 7, .kinds = kAllKinds, .seed = 7});
  ASSERT_EQ(facts.size(), 7u);
  const auto between = [](const std::string& text, const std::string& before, const std::string& after) {
    EXPECT_TRUE(text.starts_with(before) && text.ends_with(after)) << text;
    return text.substr(before.size(), text.size() - before.size() - after.size());
  };
  for (const Fact& fact : facts) {
    const std::string& first = fact.sentences[0];
    if (fact.kind == FactKind::kNumber) {
      const auto key = between(fact.question, "What is the special magic number for ", " mentioned in the text?");
      EXPECT_EQ(first, " The special magic number for " + key + " is: " + fact.answer + ". ");
    } else if (fact.kind == FactKind::kRegisterLine) {
      const auto key = between(fact.question, "Tell me the REGISTER_CONTENT in line ", ".");
      EXPECT_EQ(first, "\nline " + key + ": REGISTER_CONTENT is <" + fact.answer + ">\n");
    } else if (fact.kind == FactKind::kHexRecord) {
      const auto key = between(fact.question, "Which value does the record ", " map to?");
      EXPECT_EQ(first, " The record " + key + " maps to " + fact.answer + ". ");
    } else if (fact.kind == FactKind::kIngredient) {
      const auto key = between(fact.question, "What is the secret ingredient of the ", " recipe?");
      EXPECT_EQ(first, " The secret ingredient of the " + key + " recipe is " + fact.answer + ". ");
    } else if (fact.kind == FactKind::kMultiValue) {
      const auto key = between(fact.question, "What are all the special magic numbers for ", " mentioned in the text?");
      std::string values;
      for (const std::string& sentence : fact.sentences) {
        values += values.empty() ? "" : ", ";
        values += between(sentence, " One of the special magic numbers for " + key + " is: ", ". ");
      }
      EXPECT_EQ(values, fact.answer);
    } else if (fact.kind == FactKind::kVariableChain) {
      const auto value = between(fact.question, "Find all variables that are assigned the value ", " in the text.");
      std::string name = between(first, " VAR ", " = " + value + ". ");
      std::string names = name;
      for (std::size_t i = 1; i < fact.sentences.size(); ++i) {
        name = between(fact.sentences[i], " VAR ", " = VAR " + name + ". ");
        names += ", " + name;
      }
      EXPECT_EQ(names, fact.answer);
    } else {
      EXPECT_EQ(fact.question, "What is the pass key?");
      EXPECT_EQ(first, " The pass key is " + fact.answer + ". Remember it. " + fact.answer + " is the pass key. ");
    }
  }
}

TEST(LookupGenerator, NoQuestionIsAskedTwice) {
  const auto facts = generator().make_facts({.num_facts = 300, .kinds = kAllKinds, .seed = 11});
  std::set<std::string> questions;
  for (const Fact& fact : facts) questions.insert(fact.question);
  EXPECT_EQ(questions.size(), facts.size());
}

TEST(LookupGenerator, TheSameOptionsGiveTheSameDocumentAndOthersAnother) {
  const LookupOptions options = {.context_tokens = 1500, .num_facts = 5, .random_start = true, .seed = 42};
  const LookupDocument a = generator().make(options);
  const LookupDocument b = make_lookup_document(tokenizer(), frames(), novel(), options);
  EXPECT_EQ(a.context, b.context);
  EXPECT_EQ(a.questions, b.questions);
  EXPECT_EQ(a.answers, b.answers);
  LookupOptions other = options;
  other.seed = 43;
  EXPECT_NE(generator().make(other).context, a.context);
  // The facts of a seed do not depend on the length.
  other = options;
  other.context_tokens = 3000;
  EXPECT_EQ(generator().make(other).answers, a.answers);
}

TEST(LookupGenerator, PlacesSpreadOverTheDocument) {
  // 40 facts at uniform places: no quarter is without one (the chance is below 4 * .75^40 = 4e-5, and the seed fixed).
  const LookupDocument document = generator().make({.context_tokens = 16384, .num_facts = 40, .seed = 1});
  const std::string text = tokenizer().decode(document.context);
  std::set<std::size_t> quarters;
  for (const Fact& fact : document.facts) quarters.insert(text.find(fact.sentences[0]) * 4 / text.size());
  EXPECT_EQ(quarters.size(), 4u);
}

TEST(LookupGenerator, FactsNeverFallInsideACharacter) {
  // A text of characters that take several tokens each in this vocabulary: most token boundaries are inside one.
  std::string text;
  for (int i = 0; i < 3000; ++i) text += i % 3 == 0 ? "\xe6\xbc\xa2" : i % 3 == 1 ? "\xf0\x9f\x8e\x89" : "\xc5\x91 ";
  const LookupGenerator foreign(tokenizer(), frames(), text);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const LookupDocument document =
        foreign.make({.context_tokens = 1500, .num_facts = 10, .random_start = true, .seed = seed});
    std::string decoded = tokenizer().decode(document.context);
    // The document's end is a matter of tokens, not of facts: its last character may be cut.
    const std::size_t end = decoded.rfind('\n', decoded.size() - 2);
    const std::size_t broken = decoded.find("\xef\xbf\xbd");
    EXPECT_TRUE(broken == std::string::npos || broken + 12 > decoded.size()) << seed << " at " << broken << " " << end;
    for (const Fact& fact : document.facts) {
      for (const std::string& sentence : fact.sentences) EXPECT_GE(find_after(decoded, sentence, 0), 0) << sentence;
    }
  }
}

TEST(LookupGenerator, QuestionsBelongToTheDocumentsTurnWhereTurnsMustAlternate) {
  const std::string strict =
      "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns') }}"
      "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  const ChatFrames chat(
      ChatTemplate({.templates = {{"default", {"strict", strict}}}, .special_tokens = {}}, tokenizer()));
  const LookupGenerator other(tokenizer(), chat, novel());
  const LookupDocument document = other.make({.context_tokens = 1024, .num_facts = 3});
  EXPECT_EQ(std::ssize(document.context), 1024);
  const auto shown = [](const Ids& ids) { return tokenizer().decode(ids, /*skip_special_tokens=*/false); };
  EXPECT_TRUE(shown(document.context).starts_with("<|im_start|>user\n"));
  EXPECT_EQ(shown(document.context).find("<|im_end|>"), std::string::npos);
  const std::string rest = document.facts[1].question + "<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(shown(document.questions[1]), "\n" + rest);
  EXPECT_EQ(shown(document.next_questions[1]), "<|im_start|>user\n" + rest);
  EXPECT_EQ(shown(chat.turn_end(false)), "<|im_end|>\n");
  EXPECT_EQ(shown(chat.turn_end(true)), "\n");
}

TEST(LookupGenerator, WithoutAChatFormThereIsPlainTextAlone) {
  const LookupGenerator plain(tokenizer(), std::nullopt, novel());
  EXPECT_EQ(plain.plain_text(0, 50), generator().plain_text(0, 50));
  testing::expect_error(ErrorCategory::kInvalidArgument, "needs a chat form",
                        [&] { plain.make({.context_tokens = 1024, .num_facts = 1}); });
}

TEST(LookupGenerator, PlainTextBeginsAsTheTokenizerBegins) {
  const Ids ids = generator().plain_text(100, 50);
  ASSERT_EQ(ids.size(), 50u);
  EXPECT_EQ(ids[0], tokenizer().token_id("<|endoftext|>"));
  const Ids later = generator().plain_text(110, 50);
  EXPECT_TRUE(std::equal(ids.begin() + 11, ids.end(), later.begin() + 1));
}

TEST(LookupGenerator, ADocumentLeavesRoomForItsQuestions) {
  const auto longest_turn = [](const LookupDocument& document) {
    std::size_t longest = 0;
    for (std::size_t i = 0; i < document.facts.size(); ++i) {
      longest = std::max(longest, document.questions[i].size() + document.answers[i].size());
    }
    return longest;
  };
  const LookupOptions options = {.context_tokens = 2048, .num_facts = 5, .seed = 3};
  const LookupDocument whole = generator().make(options);
  LookupOptions bounded = options;
  bounded.most_tokens = 2048;
  const LookupDocument document = generator().make(bounded);
  EXPECT_EQ(document.context.size() + longest_turn(document), 2048u);
  EXPECT_EQ(document.questions, whole.questions);
  bounded.most_tokens = static_cast<std::int64_t>(2048 + longest_turn(whole));
  EXPECT_EQ(generator().make(bounded).context, whole.context);
}

TEST(LookupGenerator, WhatDoesNotFitIsRefused) {
  const auto message = [](const LookupOptions& options) {
    try {
      generator().make(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kInvalidArgument);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(message({.context_tokens = 100, .num_facts = 20}).find("context_tokens is 100"), std::string::npos);
  EXPECT_NE(message({.context_tokens = 10'000'000}).find("the text has"), std::string::npos);
  EXPECT_NE(message({.num_facts = -1}).find("num_facts is -1"), std::string::npos);
  EXPECT_NE(message({.kinds = {}}).find("kinds"), std::string::npos);
  EXPECT_NE(message({.num_facts = 2, .kinds = {FactKind::kPassKey}}).find("pass key"), std::string::npos);
  EXPECT_THROW(generator().plain_text(generator().text_tokens() - 10, 50), Error);
}

}  // namespace
}  // namespace tca::evaluation
