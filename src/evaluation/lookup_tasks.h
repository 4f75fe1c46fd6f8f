// Long documents with planted facts and questions about them: the generator behind calibration, evaluation and the
// demo.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/chat/chat_frames.h"
#include "runtime/tokenizer/tokenizer.h"

namespace tca::evaluation {

enum class FactKind {
  // Codes, which lookback-28m was trained on.
  kNumber,
  kRegisterLine,
  kHexRecord,
  kIngredient,
  kMultiValue,
  kVariableChain,
  kPassKey,
  // Natural facts, which any model that follows instructions can be asked for.
  kPerson,
  kPlace,
  kQuantity,
  kDate,
  kReason,
  kThing,
  kJob,
  kPhrase,
  kListLine,
  kTableRow,
  kDialogue,
  kSetting
};

std::string_view fact_kind_name(FactKind kind);
bool is_natural(FactKind kind);

/// Natural facts and texts are of one of two sets, which share no template, name, value, sentence or question form.
enum class FactSet { kCalibration, kEvaluation };

struct Fact {
  FactKind kind = FactKind::kNumber;
  std::vector<std::string> sentences = {};  // planted, in order
  std::string question = {};
  std::string answer = {};
  std::vector<std::string> accepted = {};     // spellings of a natural fact's answer, each of which will do
  std::vector<std::string> distractors = {};  // planted too: the same said of other subjects, with other answers
};

struct LookupOptions {
  std::int64_t context_tokens = 32768;  // of the document turn, facts and chat form included: exactly
  /// Most tokens of a document with any one of its questions and answers, for which it is made shorter; 0: any.
  std::int64_t most_tokens = 0;
  std::int32_t num_facts = 8;  // a pass key is planted at most once
  std::vector<FactKind> kinds = {FactKind::kNumber, FactKind::kRegisterLine, FactKind::kHexRecord,
                                 FactKind::kIngredient, FactKind::kMultiValue};  // in turn, from kinds[seed % size]
  FactSet fact_set = FactSet::kEvaluation;  // of natural kinds: see natural_kinds()
  bool distractors = true;                  // of natural facts; without them every fact stands alone
  bool random_start = false;                // the document begins at a random token of the text instead of its first
  std::uint64_t seed = 0;
};

struct LookupDocument {
  std::vector<std::int32_t> context;  // ids of the document turn, ready to read first
  std::vector<Fact> facts;
  // Ids of each question up to the opened answer: as it follows the document, and as it follows a closed answer.
  std::vector<std::vector<std::int32_t>> questions;
  std::vector<std::vector<std::int32_t>> next_questions;
  std::vector<std::vector<std::int32_t>> answers;  // ids of each answer, without the turn's end
};

/// Makes any number of documents from one text, which is tokenised once. Everything is deterministic in the text and
/// the options. The tokenizer must outlive the generator. Without a chat form it makes plain text alone.
class LookupGenerator {
 public:
  LookupGenerator(const runtime::Tokenizer& tokenizer, std::optional<runtime::ChatFrames> chat,
                  const std::string& text);

  /// The text is cut to what fits; facts land at random places of it, never inside a UTF-8 character, and natural ones
  /// between two sentences where the text has any. Throws kInvalidArgument when the facts do not fit into
  /// context_tokens or the text is too short for them.
  LookupDocument make(const LookupOptions& options) const;

  /// The parts of make(): facts depend on seed, num_facts, kinds, fact_set and distractors only.
  std::vector<Fact> make_facts(const LookupOptions& options) const;
  LookupDocument plant(std::vector<Fact> facts, const LookupOptions& options) const;

  /// count ids: what starts a text for this tokenizer (BOS), then the text from token `begin` on. Throws
  /// kInvalidArgument when the text is too short.
  std::vector<std::int32_t> plain_text(std::int64_t begin, std::int64_t count) const;
  std::int64_t text_tokens() const { return static_cast<std::int64_t>(text_ids_.size()); }

 private:
  const runtime::Tokenizer& tokenizer_;
  std::optional<runtime::ChatFrames> chat_;
  std::vector<std::int32_t> text_ids_;
  std::vector<std::int32_t> text_start_;  // BOS, where the tokenizer adds one
  std::vector<std::string> words_;        // what names and ingredients are made of
};

/// One document from one text.
LookupDocument make_lookup_document(const runtime::Tokenizer& tokenizer, const runtime::ChatFrames& chat,
                                    const std::string& text, const LookupOptions& options);

/// The words names are made of: runs of 4 to 9 lower-case letters, by how often the text has them, the 300 most
/// frequent left out (they are glue), 6000 at most considered. Texts with few of them get made-up words instead.
std::vector<std::string> name_words(const std::string& text);

}  // namespace tca::evaluation
