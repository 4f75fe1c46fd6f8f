#include "evaluation/natural_facts.h"

#include <algorithm>

#include "core/check.h"
#include "evaluation/answers.h"
#include "evaluation/fact_tables.h"

namespace tca::evaluation {
namespace {

constexpr std::int64_t kBlockLines = 4;  // of lists, tables, dialogues and settings: one is asked for

struct Value {
  std::string text;
  std::vector<std::string> accepted;
};

std::string_view pick(Words words, Random& random) {
  return words[static_cast<std::size_t>(random.below(std::ssize(words)))];
}

// "three hundred and forty two": 1 to 999, as spellings are compared, without hyphens.
std::string number_words(int number, std::string_view after_hundred) {
  static constexpr std::string_view kSmall[] = {
      "",    "one",    "two",    "three",    "four",     "five",    "six",     "seven",     "eight",    "nine",
      "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
  static constexpr std::string_view kTens[] = {"",      "",      "twenty",  "thirty", "forty",
                                               "fifty", "sixty", "seventy", "eighty", "ninety"};
  const auto small = [](int n) { return std::string(kSmall[static_cast<std::size_t>(n)]); };
  if (number >= 100) {
    const int rest = number % 100;
    return small(number / 100) + " hundred" + (rest > 0 ? text(after_hundred, number_words(rest, "")) : "");
  }
  if (number < 20) return small(number);
  return text(kTens[static_cast<std::size_t>(number / 10)], number % 10 > 0 ? " " : "", small(number % 10));
}

Value number_value(int number) {
  const std::string digits = std::to_string(number);
  return {digits, {digits, number_words(number, " and "), number_words(number, " ")}};
}

Value date_value(const FactTables& tables, Random& random) {
  const std::int64_t day = random.between(1, 28), year = random.between(tables.years[0], tables.years[1]);
  const std::string_view month = pick(tables.months, random);
  const bool teen = day >= 11 && day <= 13;
  const char* const ending = !teen && day % 10 == 1   ? "st"
                             : !teen && day % 10 == 2 ? "nd"
                             : !teen && day % 10 == 3 ? "rd"
                                                      : "th";
  const std::string plain = text(day, ' ', month, ' ', year);
  return {plain,
          {plain, text(month, ' ', day, ' ', year), text(day, ending, ' ', month, ' ', year),
           text(day, ending, " of ", month, ' ', year), text(month, ' ', day, ending, ' ', year)}};
}

std::string without_article(std::string_view phrase) {
  for (const std::string_view article : {"a ", "an ", "the "}) {
    if (phrase.starts_with(article)) phrase.remove_prefix(article.size());
  }
  return std::string(phrase);
}

Value word_value(std::string_view word) { return {std::string(word), {without_article(word)}}; }

Value draw(Pool pool, const FactTables& tables, Random& random) {
  switch (pool) {
    case Pool::kPerson: {
      const std::string_view first = pick(tables.first_names, random), last = pick(tables.last_names, random);
      return {text(first, ' ', last), {std::string(last)}};
    }
    case Pool::kTown:
      return word_value(pick(tables.towns, random));
    case Pool::kNumber:
      return number_value(static_cast<int>(random.between(tables.numbers[0], tables.numbers[1])));
    case Pool::kDate:
      return date_value(tables, random);
    case Pool::kReason:
      return word_value(pick(tables.reasons, random));
    case Pool::kArticle:
      return word_value(pick(tables.articles, random));
    case Pool::kColour:
      return word_value(pick(tables.colours, random));
    case Pool::kMaterial:
      return word_value(pick(tables.materials, random));
    case Pool::kJob:
      return word_value(pick(tables.jobs, random));
    case Pool::kPhrase: {
      const std::string_view first = pick(tables.phrase_first, random);
      return word_value(text(first, ' ', pick(tables.phrase_second, random)));
    }
    case Pool::kKey:
      return word_value(pick(tables.keys, random));
  }
  fail(ErrorCategory::kInvalidArgument, text("pool has the value ", static_cast<int>(pool), "; expected a Pool"));
}

std::string replaced(std::string text, std::string_view slot, std::string_view with) {
  for (std::size_t at = text.find(slot); at != std::string::npos; at = text.find(slot, at + with.size())) {
    text.replace(at, slot.size(), with);
  }
  return text;
}

// The slots filled, with "an" where the answer demands it.
std::string filled(std::string_view form, const std::string& subject, const std::string& answer = {}) {
  std::string text = replaced(std::string(form), "<s>", subject);
  if (!answer.empty() && std::string_view("aeiou").find(answer.front()) != std::string_view::npos) {
    text = replaced(std::move(text), " a <a>", " an <a>");
  }
  return replaced(std::move(text), "<a>", answer);
}

std::string ask(const FactTables& tables, const FactTemplate& form, const std::string& subject, Random& random) {
  std::string question = filled(form.question, subject);
  switch (random.below(4)) {
    case 0:
      return question;
    case 1:
      question.front() = static_cast<char>(question.front() - 'A' + 'a');
      return replaced(std::string(tables.quoting_form), "<q>", question);
    case 2:
      return replaced(std::string(tables.completing_form), "<b>", filled(form.beginning, subject));
    default:
      return filled(form.instruction, subject);
  }
}

// A subject of which this template has said nothing yet. After 100 draws a number makes it one.
std::string fresh_subject(const FactTables& tables, const FactTemplate& form, Random& random,
                          std::set<std::string>& used) {
  const auto key = [&form](const std::string& subject) { return text(form.sentence, '\n', subject); };
  std::string subject = draw(form.subject, tables, random).text;
  for (int i = 0; i < 100 && used.count(key(subject)) != 0; ++i) subject = draw(form.subject, tables, random).text;
  if (used.count(key(subject)) != 0) subject += text(' ', used.size());
  used.insert(key(subject));
  return subject;
}

}  // namespace

const FactTables& fact_tables(FactSet set) {
  return set == FactSet::kCalibration ? calibration_fact_tables() : evaluation_fact_tables();
}

std::vector<FactKind> natural_kinds(FactSet set) {
  std::vector<FactKind> kinds;
  for (const FactTemplate& form : fact_tables(set).templates) {
    if (std::find(kinds.begin(), kinds.end(), form.kind) == kinds.end()) kinds.push_back(form.kind);
  }
  return kinds;
}

NaturalFactMaker::NaturalFactMaker(FactSet set, Random& random) : tables_(fact_tables(set)), random_(random) {}

Fact NaturalFactMaker::make(FactKind kind) {
  std::vector<const FactTemplate*> forms;
  for (const FactTemplate& form : tables_.templates) {
    if (form.kind == kind) forms.push_back(&form);
  }
  check_argument(!forms.empty(), "kinds has '", fact_kind_name(kind),
                 "', which the set of facts does not have; expected one of natural_kinds()");
  const FactTemplate& form = *forms[static_cast<std::size_t>(random_.below(std::ssize(forms)))];

  const std::string subject = fresh_subject(tables_, form, random_, used_);
  Value answer = draw(form.answer, tables_, random_);
  while (answer.text == subject) answer = draw(form.answer, tables_, random_);
  Fact fact{.kind = kind,
            .question = ask(tables_, form, subject, random_),
            .answer = answer.text,
            .accepted = std::move(answer.accepted)};
  const auto another = [&] {
    const std::string other = fresh_subject(tables_, form, random_, used_);
    std::string other_answer = draw(form.answer, tables_, random_).text;
    while (answer_found(other_answer, fact) || other_answer == other)
      other_answer = draw(form.answer, tables_, random_).text;
    return filled(form.sentence, other, other_answer);
  };
  const std::string sentence = filled(form.sentence, subject, fact.answer);
  if (form.heading.empty()) {
    fact.sentences = {text(' ', sentence)};
    fact.distractors = {text(' ', another())};
    return fact;
  }
  std::string block = text("\n\n", form.heading, '\n');
  const std::int64_t asked = random_.below(kBlockLines);
  for (std::int64_t i = 0; i < kBlockLines; ++i) block += (i == asked ? sentence : another()) + "\n";
  fact.sentences = {std::move(block)};
  return fact;
}

}  // namespace tca::evaluation
