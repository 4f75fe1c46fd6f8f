// What a model reads while it is calibrated: documents with planted facts, then the questions and their answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/chat/chat_frames.h"
#include "runtime/tokenizer/tokenizer.h"

namespace tca::calibration {

struct CalibrationSequence {
  std::vector<std::int32_t> ids;
  /// Tokens are chosen as if the first this many were all there is; what follows looks things up in them. Equal to the
  /// number of ids for text without questions.
  std::int64_t document_tokens = 0;
};

struct SequenceOptions {
  std::int64_t tokens = 16384;        // of each sequence, exactly
  std::int32_t lookup_sequences = 3;  // a document with facts, every one of them asked at the end
  std::int32_t plain_sequences = 0;   // text alone
  std::int32_t num_facts = 24;        // of a lookup sequence
  std::uint64_t seed = 0;
};

/// In the model's own chat form, which plain sequences do without. Throws kInvalidArgument when the text is too short
/// or the facts do not fit.
std::vector<CalibrationSequence> make_calibration_sequences(const runtime::Tokenizer& tokenizer,
                                                            const std::optional<runtime::ChatFrames>& chat,
                                                            const std::string& text, const SequenceOptions& options);

}  // namespace tca::calibration
