#include "runtime/tokenizer/decode_stages.h"

#include <algorithm>
#include <charconv>

#include "runtime/tokenizer/bpe.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {

void JoinStage::text(std::string_view part) {
  if (joins_) next_->text(" ");
  joins_ = false;
  next_->text(part);
}

void JoinStage::end_token() {
  joins_ = true;
  next_->end_token();
}

void ByteLevelStage::end_token() {
  const std::size_t before = bytes_.size();
  for (std::size_t position = 0; position < token_.size();) {
    const int byte = byte_of_character(next_code_point(token_, position));
    if (byte < 0) {  // not spelled bytes at all, as added tokens may be
      bytes_.replace(before, std::string::npos, token_);
      break;
    }
    bytes_ += static_cast<char>(byte);
  }
  token_.clear();
  hand_on(false);
}

void ByteLevelStage::finish() {
  hand_on(true);
  next_->end_token();
  next_->finish();
}

void ByteLevelStage::hand_on(bool all) {
  std::string complete;
  std::size_t position = 0;
  while (position < bytes_.size()) {
    const Utf8Sequence sequence = scan_utf8(bytes_, position);
    if (sequence.cut_off && !all) break;
    complete += sequence.valid ? std::string_view(bytes_).substr(position, sequence.size) : kReplacementCharacter;
    position += sequence.size;
  }
  bytes_.erase(0, position);
  if (!complete.empty()) next_->text(complete);
}

void ByteFallbackStage::end_token() {
  unsigned byte = 0;
  bool is_byte = token_.size() == 6 && token_.starts_with("<0x") && token_.ends_with('>');
  if (is_byte) {
    const char* const digits = token_.data() + 3;
    const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
    is_byte = error == std::errc() && end == digits + 2;
  }
  if (is_byte) {
    bytes_ += static_cast<char>(byte);
  } else {
    flush_bytes();
    next_->text(token_);
    next_->end_token();
  }
  token_.clear();
}

void ByteFallbackStage::flush_bytes() {
  if (bytes_.empty()) return;
  std::string repaired;
  const bool valid = repair_utf8(bytes_, repaired).data() == bytes_.data();
  const std::size_t tokens = valid ? 1 : bytes_.size();
  for (std::size_t i = 0; i < tokens; ++i) {
    next_->text(valid ? std::string_view(bytes_) : kReplacementCharacter);
    next_->end_token();
  }
  bytes_.clear();
}

void ByteFallbackStage::finish() {
  flush_bytes();
  next_->finish();
}

void FuseStage::finish() {
  next_->end_token();
  next_->finish();
}

void MetaspaceStage::text(std::string_view part) {
  std::string out;
  for (std::size_t position = 0; position < part.size();) {
    const std::size_t start = position;
    if (next_code_point(part, position) != replacement_) {
      out += part.substr(start, position - start);
    } else if (!drops_) {
      out += ' ';
    }
  }
  next_->text(out);
}

void MetaspaceStage::end_token() {
  drops_ = false;
  next_->end_token();
}

StripStage::StripStage(NextStage next, char32_t content, std::size_t start, std::size_t stop)
    : next_(std::move(next)), content_(content), start_(start), stop_(stop), to_strip_(start) {
  append_utf8(content_text_, content);
}

void StripStage::text(std::string_view part) {
  std::string out;
  for (std::size_t position = 0; position < part.size();) {
    const std::size_t start = position;
    if (next_code_point(part, position) == content_) {
      if (to_strip_ > 0) {
        --to_strip_;
      } else if (held_ < stop_) {
        ++held_;
      } else {
        out += content_text_;
      }
      continue;
    }
    to_strip_ = 0;
    for (; held_ > 0; --held_) out += content_text_;
    out += part.substr(start, position - start);
  }
  next_->text(out);
}

void StripStage::end_token() {
  to_strip_ = start_;
  held_ = 0;
  next_->end_token();
}

void ReplaceStage::text(std::string_view part) {
  if (replacement_.is_single_character()) {
    next_->text(replacement_.apply(part));
  } else {
    token_ += part;
  }
}

void ReplaceStage::end_token() {
  if (!token_.empty()) next_->text(replacement_.apply(token_));
  token_.clear();
  next_->end_token();
}

}  // namespace tca::runtime
