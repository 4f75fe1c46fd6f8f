#include "evaluation/lookup_tasks.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "evaluation/facts.h"
#include "evaluation/natural_facts.h"
#include "evaluation/random.h"

namespace tca::evaluation {
namespace {

using Ids = std::vector<std::int32_t>;

// Facts and places come from different streams, so that the facts of a seed are the same at every length.
constexpr std::uint64_t kPlaceStream = 0x9e3779b97f4a7c15u;

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // what a part of a UTF-8 character decodes to

// False where a UTF-8 character's bytes are spread over the tokens on both sides.
bool is_character_boundary(const runtime::Tokenizer& tokenizer, const Ids& ids, std::int64_t place) {
  if (place <= 0 || place >= static_cast<std::int64_t>(ids.size())) return true;
  const auto i = static_cast<std::size_t>(place);
  const std::string before = tokenizer.decode({&ids[i - 1], 1});
  const std::string after = tokenizer.decode({&ids[i], 1});
  return !before.ends_with(kReplacement) && !after.starts_with(kReplacement);
}

// True where a sentence has ended, and at both ends of the text. Line breaks after a sentence belong to the next token.
bool is_sentence_boundary(const runtime::Tokenizer& tokenizer, const Ids& ids, std::int64_t place) {
  if (place <= 0 || place >= static_cast<std::int64_t>(ids.size())) return true;
  const auto i = static_cast<std::size_t>(place);
  std::string before = tokenizer.decode({&ids[i - 1], 1});
  const std::string after = tokenizer.decode({&ids[i], 1});
  while (before.ends_with('"') || before.ends_with(')')) before.pop_back();
  const bool ended = before.ends_with('.') || before.ends_with('!') || before.ends_with('?');
  return ended && (after.starts_with(' ') || after.starts_with('\n'));
}

struct Insertion {
  std::int64_t place = 0;  // in the body: before this token
  Ids ids;
  bool natural = false;
};

// The sentences of all facts, in order, each fact's distractors behind them.
std::vector<Insertion> encode_sentences(const runtime::Tokenizer& tokenizer, const std::vector<Fact>& facts) {
  std::vector<Insertion> insertions;
  for (const Fact& fact : facts) {
    for (const auto& sentences : {fact.sentences, fact.distractors}) {
      for (const std::string& sentence : sentences) {
        insertions.push_back({0, tokenizer.encode_plain(sentence), is_natural(fact.kind)});
      }
    }
  }
  return insertions;
}

void sort_by_place(std::vector<Insertion>& insertions) {
  std::stable_sort(insertions.begin(), insertions.end(),
                   [](const Insertion& a, const Insertion& b) { return a.place < b.place; });
}

// Uniform places, ascending within a fact's sentences; then everything by place.
void choose_places(const std::vector<Fact>& facts, Random& random, std::int64_t body_tokens,
                   std::vector<Insertion>& insertions) {
  auto insertion = insertions.begin();
  for (const Fact& fact : facts) {
    std::vector<std::int64_t> places;
    for (std::size_t i = 0; i < fact.sentences.size(); ++i) places.push_back(random.below(body_tokens));
    std::sort(places.begin(), places.end());
    for (std::size_t i = 0; i < fact.distractors.size(); ++i) places.push_back(random.below(body_tokens));
    for (const std::int64_t place : places) (insertion++)->place = place;
  }
  sort_by_place(insertions);
}

// Back to where a text may be cut: between two sentences for natural facts, unless the nearest is a long way off, else
// between two characters. body: the first token of the document in ids.
std::int64_t place_to_cut(const runtime::Tokenizer& tokenizer, const Ids& ids, std::int64_t body,
                          const Insertion& insertion) {
  constexpr std::int64_t kLongestSentence = 1000;
  if (insertion.natural) {
    const std::int64_t last = std::max<std::int64_t>(0, insertion.place - kLongestSentence);
    for (std::int64_t place = insertion.place; place >= last; --place) {
      if (place == 0 || is_sentence_boundary(tokenizer, ids, body + place)) return place;
    }
  }
  std::int64_t place = insertion.place;
  while (!is_character_boundary(tokenizer, ids, body + place)) --place;
  return place;
}

}  // namespace

std::string_view fact_kind_name(FactKind kind) {
  switch (kind) {
    case FactKind::kNumber:
      return "number";
    case FactKind::kRegisterLine:
      return "register line";
    case FactKind::kHexRecord:
      return "hex record";
    case FactKind::kIngredient:
      return "ingredient";
    case FactKind::kMultiValue:
      return "several values";
    case FactKind::kVariableChain:
      return "variable chain";
    case FactKind::kPassKey:
      return "pass key";
    case FactKind::kPerson:
      return "person";
    case FactKind::kPlace:
      return "place";
    case FactKind::kQuantity:
      return "quantity";
    case FactKind::kDate:
      return "date";
    case FactKind::kReason:
      return "reason";
    case FactKind::kThing:
      return "thing";
    case FactKind::kJob:
      return "job";
    case FactKind::kPhrase:
      return "phrase";
    case FactKind::kListLine:
      return "list line";
    case FactKind::kTableRow:
      return "table row";
    case FactKind::kDialogue:
      return "dialogue";
    case FactKind::kSetting:
      return "setting";
  }
  return "unknown";
}

bool is_natural(FactKind kind) { return kind >= FactKind::kPerson; }

LookupGenerator::LookupGenerator(const runtime::Tokenizer& tokenizer, std::optional<runtime::ChatFrames> chat,
                                 const std::string& text)
    : tokenizer_(tokenizer),
      chat_(std::move(chat)),
      text_ids_(tokenizer.encode_plain(text)),
      text_start_(tokenizer.encode("", /*add_special_tokens=*/true)),
      words_(name_words(text)) {}

std::vector<Fact> LookupGenerator::make_facts(const LookupOptions& options) const {
  check_argument(options.num_facts >= 0, "num_facts is ", options.num_facts, "; expected 0 or more");
  check_argument(!options.kinds.empty(), "kinds is empty; expected at least one kind of fact");
  check_argument(options.num_facts <= 1 || options.kinds != std::vector{FactKind::kPassKey}, "num_facts is ",
                 options.num_facts, " of pass keys alone; a document has one at most");
  Random random(options.seed);
  FactMaker codes(words_, random);
  NaturalFactMaker natural(options.fact_set, random);
  std::vector<Fact> facts;
  bool has_pass_key = false;
  for (std::uint64_t turn = options.seed % options.kinds.size(); std::ssize(facts) < options.num_facts; ++turn) {
    const FactKind kind = options.kinds[turn % options.kinds.size()];
    if (kind == FactKind::kPassKey && std::exchange(has_pass_key, true)) continue;
    facts.push_back(is_natural(kind) ? natural.make(kind) : codes.make(kind));
    if (!options.distractors) facts.back().distractors.clear();
  }
  return facts;
}

LookupDocument LookupGenerator::plant(std::vector<Fact> facts, const LookupOptions& options) const {
  check_argument(chat_.has_value(), "a document with questions needs a chat form");
  LookupDocument document;
  std::int64_t longest_turn = 0;
  for (const Fact& fact : facts) {
    document.questions.push_back(chat_->first_question(fact.question));
    document.next_questions.push_back(chat_->next_question(fact.question));
    document.answers.push_back(tokenizer_.encode_plain(fact.answer));
    const std::int64_t question =
        std::max(std::ssize(document.questions.back()), std::ssize(document.next_questions.back()));
    longest_turn = std::max(longest_turn, question + std::ssize(document.answers.back()));
  }
  std::int64_t context_tokens = options.context_tokens;
  if (options.most_tokens > 0) context_tokens = std::min(context_tokens, options.most_tokens - longest_turn);

  std::vector<Insertion> insertions = encode_sentences(tokenizer_, facts);
  std::int64_t body_tokens =
      context_tokens - std::ssize(chat_->before_document()) - std::ssize(chat_->after_document());
  for (const Insertion& insertion : insertions) body_tokens -= std::ssize(insertion.ids);
  check_argument(body_tokens > 0, "context_tokens is ", context_tokens, "; ", facts.size(),
                 " facts and the chat form need ", context_tokens - body_tokens + 1, " or more");
  check_argument(body_tokens <= text_tokens(), "the text has ", text_tokens(), " tokens; a document of ",
                 context_tokens, " needs ", body_tokens, ": give a longer text or a shorter context");

  Random random(options.seed ^ kPlaceStream);
  std::int64_t begin = options.random_start ? random.below(text_tokens() - body_tokens + 1) : 0;
  const bool natural = std::any_of(facts.begin(), facts.end(), [](const Fact& fact) { return is_natural(fact.kind); });
  begin = place_to_cut(tokenizer_, text_ids_, 0, {begin, {}, natural});
  choose_places(facts, random, body_tokens, insertions);
  for (Insertion& insertion : insertions) insertion.place = place_to_cut(tokenizer_, text_ids_, begin, insertion);
  sort_by_place(insertions);

  document.context = chat_->before_document();
  const auto append = [&document](auto first, auto last) {
    document.context.insert(document.context.end(), first, last);
  };
  const auto body = text_ids_.begin() + begin;
  std::int64_t done = 0;
  for (const Insertion& insertion : insertions) {
    append(body + done, body + insertion.place);
    append(insertion.ids.begin(), insertion.ids.end());
    done = insertion.place;
  }
  append(body + done, body + body_tokens);
  append(chat_->after_document().begin(), chat_->after_document().end());

  document.facts = std::move(facts);
  return document;
}

LookupDocument LookupGenerator::make(const LookupOptions& options) const { return plant(make_facts(options), options); }

std::vector<std::int32_t> LookupGenerator::plain_text(std::int64_t begin, std::int64_t count) const {
  const std::int64_t body_tokens = count - std::ssize(text_start_);
  check_argument(begin >= 0 && body_tokens >= 0 && begin + body_tokens <= text_tokens(), "the text has ", text_tokens(),
                 " tokens; ", count, " from token ", begin, " on were asked for: give a longer text");
  Ids ids = text_start_;
  ids.insert(ids.end(), text_ids_.begin() + begin, text_ids_.begin() + begin + body_tokens);
  return ids;
}

LookupDocument make_lookup_document(const runtime::Tokenizer& tokenizer, const runtime::ChatFrames& chat,
                                    const std::string& text, const LookupOptions& options) {
  return LookupGenerator(tokenizer, chat, text).make(options);
}

}  // namespace tca::evaluation
