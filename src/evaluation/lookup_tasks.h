// Long documents with planted facts and questions about them: the generator behind calibration, evaluation and the
// demo.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/tokenizer/chat_template.h"
#include "runtime/tokenizer/tokenizer.h"

namespace tca::evaluation {

enum class FactKind { kNumber, kRegisterLine, kHexRecord, kIngredient, kMultiValue, kVariableChain, kPassKey };

struct Fact {
  FactKind kind;
  std::vector<std::string> sentences;  // planted, in order
  std::string question;
  std::string answer;
};

struct LookupOptions {
  std::int64_t context_tokens = 32768;  // of the document turn, facts and chat form included
  std::int32_t num_facts = 8;
  std::vector<FactKind> kinds = {FactKind::kNumber, FactKind::kRegisterLine, FactKind::kHexRecord,
                                 FactKind::kIngredient, FactKind::kMultiValue};
  std::uint64_t seed = 0;
};

struct LookupDocument {
  std::vector<std::int32_t> context;  // ids of the document turn, ready to read first
  std::vector<Fact> facts;
  std::vector<std::vector<std::int32_t>> questions;  // ids of each question turn up to the opened assistant turn
  std::vector<std::vector<std::int32_t>> answers;    // ids of each answer
};

/// text is cut to what fits; facts land at random places of it, never inside a UTF-8 character. Deterministic in its
/// arguments.
LookupDocument make_lookup_document(const runtime::Tokenizer& tokenizer, const runtime::ChatTemplate& chat,
                                    const std::string& text, const LookupOptions& options);

std::string_view fact_kind_name(FactKind kind);

}  // namespace tca::evaluation
