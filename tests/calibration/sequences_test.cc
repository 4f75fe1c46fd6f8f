#include "calibration/sequences.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "tca/error.h"

namespace tca::calibration {
namespace {

using runtime::ChatFrames;
using runtime::ChatTemplate;
using runtime::Tokenizer;

class Sequences : public testing::Test {
 protected:
  const Tokenizer tokenizer_ = Tokenizer::load(TCA_SOURCE_DIR "/models/lookback-28m");
  const ChatFrames chat_{ChatTemplate::load(TCA_SOURCE_DIR "/models/lookback-28m", tokenizer_)};
  const std::string text_ = read_file(TCA_SOURCE_DIR "/examples/data/sbcl-manual.txt", 1 << 20).substr(0, 60'000);

  std::vector<CalibrationSequence> make(const SequenceOptions& options) const {
    return make_calibration_sequences(tokenizer_, chat_, text_, options);
  }
  std::string decode(std::span<const std::int32_t> ids) const { return tokenizer_.decode(ids, false); }
};

TEST_F(Sequences, ADocumentThenEveryQuestionWithItsAnswer) {
  for (const std::int64_t tokens : {2000, 4096}) {
    for (const CalibrationSequence& sequence : make({.tokens = tokens, .lookup_sequences = 2, .num_facts = 9})) {
      EXPECT_EQ(std::ssize(sequence.ids), tokens);
      const std::span ids(sequence.ids);
      const std::string document = decode(ids.first(static_cast<std::size_t>(sequence.document_tokens)));
      const std::string asked = decode(ids.subspan(static_cast<std::size_t>(sequence.document_tokens)));
      EXPECT_TRUE(document.starts_with("<|endoftext|><|im_start|>user\n"));
      EXPECT_TRUE(document.ends_with("<|im_end|>\n"));
      EXPECT_TRUE(asked.starts_with("<|im_start|>user\n"));
      EXPECT_TRUE(asked.ends_with("<|im_end|>\n"));
      int questions = 0;
      const std::string opening = "<|im_start|>assistant\n";
      for (std::size_t at = asked.find(opening); at != std::string::npos; at = asked.find(opening, at + 1)) {
        ++questions;
        // What is answered is in the document: the first value of it at least.
        const std::size_t begin = at + opening.size();
        const std::string answer = asked.substr(begin, asked.find("<|im_end|>", begin) - begin);
        EXPECT_NE(document.find(answer.substr(0, answer.find(", "))), std::string::npos) << answer;
      }
      EXPECT_EQ(questions, 9);
    }
  }
}

TEST_F(Sequences, PlainTextHasNoQuestions) {
  const auto sequences = make({.tokens = 1000, .lookup_sequences = 0, .plain_sequences = 2, .seed = 3});
  ASSERT_EQ(sequences.size(), 2u);
  for (const CalibrationSequence& sequence : sequences) {
    EXPECT_EQ(std::ssize(sequence.ids), 1000);
    EXPECT_EQ(sequence.document_tokens, 1000);
    EXPECT_EQ(decode(sequence.ids).find("<|im_start|>"), std::string::npos);
  }
  EXPECT_NE(sequences[0].ids, sequences[1].ids);
}

TEST_F(Sequences, SeedsDecideEverything) {
  const SequenceOptions options = {
      .tokens = 1500, .lookup_sequences = 1, .plain_sequences = 1, .num_facts = 5, .seed = 8};
  const auto a = make(options), b = make(options);
  SequenceOptions other = options;
  other.seed = 9;
  const auto c = make(other);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(a[i].ids, b[i].ids);
    EXPECT_NE(a[i].ids, c[i].ids);
  }
}

TEST_F(Sequences, WhatDoesNotFitIsRefused) {
  EXPECT_THROW(make({.tokens = 600, .num_facts = 24}), Error);
  EXPECT_THROW(make({.tokens = 1'000'000}), Error);
  EXPECT_THROW(make({.tokens = 1'000'000, .lookup_sequences = 0, .plain_sequences = 1}), Error);
  EXPECT_THROW(make({.tokens = 0}), Error);
  EXPECT_THROW(make({.lookup_sequences = -1}), Error);
  EXPECT_THROW(make({.plain_sequences = -1}), Error);
}

}  // namespace
}  // namespace tca::calibration
