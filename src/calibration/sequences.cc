#include "calibration/sequences.h"

#include "core/check.h"
#include "evaluation/lookup_tasks.h"
#include "evaluation/random.h"

namespace tca::calibration {
namespace {

using evaluation::FactKind;
using evaluation::LookupDocument;
using evaluation::LookupGenerator;
using evaluation::LookupOptions;
using Ids = std::vector<std::int32_t>;

// Every question, its answer, and the end of the answer's turn.
Ids questions_and_answers(const LookupDocument& document, const Ids& turn_end) {
  Ids ids;
  for (std::size_t i = 0; i < document.questions.size(); ++i) {
    const Ids& question = i == 0 ? document.questions[i] : document.next_questions[i];
    ids.insert(ids.end(), question.begin(), question.end());
    ids.insert(ids.end(), document.answers[i].begin(), document.answers[i].end());
    ids.insert(ids.end(), turn_end.begin(), turn_end.end());
  }
  return ids;
}

CalibrationSequence lookup_sequence(const LookupGenerator& generator, const Ids& turn_end, LookupOptions options) {
  // What is asked does not depend on the length of the document: so the document gets what the questions leave.
  const std::int64_t tokens = options.context_tokens;
  const LookupDocument draft = generator.plant(generator.make_facts(options), options);
  const Ids asked = questions_and_answers(draft, turn_end);
  check_argument(std::ssize(asked) <= tokens / 2, "a calibration sequence of ", tokens, " tokens is too short for ",
                 options.num_facts, " facts, whose questions and answers alone take ", asked.size());
  options.context_tokens = tokens - std::ssize(asked);
  CalibrationSequence sequence{.ids = generator.make(options).context, .document_tokens = options.context_tokens};
  sequence.ids.insert(sequence.ids.end(), asked.begin(), asked.end());
  return sequence;
}

}  // namespace

std::vector<CalibrationSequence> make_calibration_sequences(const runtime::Tokenizer& tokenizer,
                                                            const std::optional<runtime::ChatFrames>& chat,
                                                            const std::string& text, const SequenceOptions& options) {
  check_argument(options.tokens >= 1, "tokens is ", options.tokens, "; expected 1 or more");
  check_argument(options.lookup_sequences >= 0, "lookup_sequences is ", options.lookup_sequences);
  check_argument(options.plain_sequences >= 0, "plain_sequences is ", options.plain_sequences);
  const LookupGenerator generator(tokenizer, chat, text);
  check_argument(chat || options.lookup_sequences == 0, "sequences with questions need a chat form");
  std::vector<CalibrationSequence> sequences;
  for (std::int32_t i = 0; i < options.lookup_sequences; ++i) {
    sequences.push_back(lookup_sequence(
        generator, chat->turn_end(/*end_token_generated=*/false),
        {.context_tokens = options.tokens,
         .num_facts = options.num_facts,
         .kinds = {FactKind::kNumber, FactKind::kRegisterLine, FactKind::kHexRecord, FactKind::kIngredient,
                   FactKind::kMultiValue, FactKind::kVariableChain, FactKind::kPassKey},
         .random_start = true,
         .seed = options.seed + static_cast<std::uint64_t>(i)}));
  }
  evaluation::Random random(options.seed);
  for (std::int32_t i = 0; i < options.plain_sequences; ++i) {
    const std::int64_t last_begin = std::max<std::int64_t>(0, generator.text_tokens() - options.tokens);
    sequences.push_back(
        {.ids = generator.plain_text(random.below(last_begin + 1), options.tokens), .document_tokens = options.tokens});
  }
  return sequences;
}

}  // namespace tca::calibration
