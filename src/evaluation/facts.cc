#include "evaluation/facts.h"

#include "core/check.h"

namespace tca::evaluation {

std::string FactMaker::pick(const char* alphabet, std::int64_t alphabet_size, std::int64_t count) {
  std::string out;
  for (std::int64_t i = 0; i < count; ++i) out += alphabet[random_.below(alphabet_size)];
  return out;
}

// A subject nobody asks about yet. After 100 draws (tiny vocabularies only) a number makes it one.
std::string FactMaker::fresh(FactKind kind, std::string (FactMaker::*draw)()) {
  const auto key = [kind](const std::string& subject) { return text(fact_kind_name(kind), ' ', subject); };
  std::string subject = (this->*draw)();
  for (int i = 0; i < 100 && used_.count(key(subject)) != 0; ++i) subject = (this->*draw)();
  if (used_.count(key(subject)) != 0) subject += text(used_.size());
  used_.insert(key(subject));
  return subject;
}

Fact FactMaker::variable_chain() {
  const std::string value = fresh(FactKind::kVariableChain, &FactMaker::value);
  const std::int64_t count = random_.between(2, 4);
  Fact fact{.kind = FactKind::kVariableChain};
  std::string before = value;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string name = pick("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 26, 5);
    fact.sentences.push_back(text(" VAR ", name, " = ", i == 0 ? "" : "VAR ", before, ". "));
    fact.answer += text(i == 0 ? "" : ", ", name);
    before = name;
  }
  fact.question = text("Find all variables that are assigned the value ", value, " in the text.");
  return fact;
}

Fact FactMaker::make(FactKind kind) {
  Fact fact{.kind = kind};
  switch (kind) {
    case FactKind::kNumber: {
      const std::string key = fresh(kind, &FactMaker::word_pair);
      fact.answer = digits(random_.between(5, 7));
      fact.sentences = {text(" The special magic number for ", key, " is: ", fact.answer, ". ")};
      fact.question = text("What is the special magic number for ", key, " mentioned in the text?");
      return fact;
    }
    case FactKind::kRegisterLine: {
      const std::string key = fresh(kind, &FactMaker::word_pair);
      fact.answer = digits(5);
      fact.sentences = {text("\nline ", key, ": REGISTER_CONTENT is <", fact.answer, ">\n")};
      fact.question = text("Tell me the REGISTER_CONTENT in line ", key, ".");
      return fact;
    }
    case FactKind::kHexRecord: {
      const std::string key = fresh(kind, &FactMaker::record);
      fact.answer = hex(8);
      fact.sentences = {text(" The record ", key, " maps to ", fact.answer, ". ")};
      fact.question = text("Which value does the record ", key, " map to?");
      return fact;
    }
    case FactKind::kIngredient: {
      const std::string key = fresh(kind, &FactMaker::word);
      fact.answer = word();
      fact.answer += " " + word();
      fact.sentences = {text(" The secret ingredient of the ", key, " recipe is ", fact.answer, ". ")};
      fact.question = text("What is the secret ingredient of the ", key, " recipe?");
      return fact;
    }
    case FactKind::kMultiValue: {
      const std::string key = fresh(kind, &FactMaker::word_pair);
      const std::int64_t count = random_.between(2, 4);
      for (std::int64_t i = 0; i < count; ++i) {
        const std::string value = digits(5);
        fact.sentences.push_back(text(" One of the special magic numbers for ", key, " is: ", value, ". "));
        fact.answer += text(i == 0 ? "" : ", ", value);
      }
      fact.question = text("What are all the special magic numbers for ", key, " mentioned in the text?");
      return fact;
    }
    case FactKind::kVariableChain:
      return variable_chain();
    case FactKind::kPassKey: {
      fact.answer = fresh(kind, &FactMaker::value);
      fact.sentences = {text(" The pass key is ", fact.answer, ". Remember it. ", fact.answer, " is the pass key. ")};
      fact.question = "What is the pass key?";
      return fact;
    }
    default:
      fail(ErrorCategory::kInvalidArgument,
           text("kinds has the value ", static_cast<int>(kind), " (", fact_kind_name(kind), "); expected a code"));
  }
}

}  // namespace tca::evaluation
