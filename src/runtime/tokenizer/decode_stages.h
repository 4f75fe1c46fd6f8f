// The steps that decoders are made of. Each hands on what later tokens cannot change any more.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/tokenizer/decoder.h"

namespace tca::runtime {

using NextStage = std::unique_ptr<DecodeStage>;

/// The end of every chain.
class WriteStage : public DecodeStage {
 public:
  explicit WriteStage(std::string& out) : out_(out) {}
  void text(std::string_view part) override { out_ += part; }
  void end_token() override {}
  void finish() override {}

 private:
  std::string& out_;
};

/// No decoder: a space between tokens.
class JoinStage : public DecodeStage {
 public:
  explicit JoinStage(NextStage next) : next_(std::move(next)) {}
  void text(std::string_view part) override;
  void end_token() override;
  void finish() override { next_->finish(); }

 private:
  NextStage next_;
  bool joins_ = false;
};

/// Spelled bytes back to bytes, and those to text; U+FFFD for what is not UTF-8. All is one token from here on.
class ByteLevelStage : public DecodeStage {
 public:
  explicit ByteLevelStage(NextStage next) : next_(std::move(next)) {}
  void text(std::string_view part) override { token_ += part; }
  void end_token() override;
  void finish() override;

 private:
  void hand_on(bool all);

  NextStage next_;
  std::string token_;
  std::string bytes_;  // not handed on yet: a character that is not complete
};

/// Runs of <0xHH> to the text that they encode, or to one U+FFFD a byte when a run is not UTF-8 from end to end; a run
/// is held until it ends, because its last byte decides about its first.
class ByteFallbackStage : public DecodeStage {
 public:
  explicit ByteFallbackStage(NextStage next) : next_(std::move(next)) {}
  void text(std::string_view part) override { token_ += part; }
  void end_token() override;
  void finish() override;

 private:
  void flush_bytes();

  NextStage next_;
  std::string token_;
  std::string bytes_;
};

class FuseStage : public DecodeStage {
 public:
  explicit FuseStage(NextStage next) : next_(std::move(next)) {}
  void text(std::string_view part) override { next_->text(part); }
  void end_token() override {}
  void finish() override;

 private:
  NextStage next_;
};

/// The replacement character to a space; in the first token to nothing when encoding puts a space there.
class MetaspaceStage : public DecodeStage {
 public:
  MetaspaceStage(NextStage next, char32_t replacement, bool drops_first)
      : next_(std::move(next)), replacement_(replacement), drops_(drops_first) {}
  void text(std::string_view part) override;
  void end_token() override;
  void finish() override { next_->finish(); }

 private:
  NextStage next_;
  char32_t replacement_;
  bool drops_;
};

/// Up to `start` of a character from a token's front and up to `stop` from its back.
class StripStage : public DecodeStage {
 public:
  StripStage(NextStage next, char32_t content, std::size_t start, std::size_t stop);
  void text(std::string_view part) override;
  void end_token() override;
  void finish() override { next_->finish(); }

 private:
  NextStage next_;
  char32_t content_;
  std::string content_text_;
  std::size_t start_, stop_;
  std::size_t to_strip_;  // of this token's front
  std::size_t held_ = 0;  // content characters that may be the token's back
};

class ReplaceStage : public DecodeStage {
 public:
  ReplaceStage(NextStage next, const Replacement& replacement) : next_(std::move(next)), replacement_(replacement) {}
  void text(std::string_view part) override;
  void end_token() override;
  void finish() override { next_->finish(); }

 private:
  NextStage next_;
  const Replacement& replacement_;
  std::string token_;
};

}  // namespace tca::runtime
