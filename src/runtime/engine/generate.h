// The decode loop: sample, stream, read the token, until a stop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/engine/sampler.h"
#include "runtime/engine/session.h"
#include "runtime/tokenizer/tokenizer.h"

namespace tca::runtime {

struct GenerateOptions {
  std::int64_t max_tokens = 256;
  std::vector<std::int32_t> stop_ids = {};  // ends before they are shown; they are read into the session
  SamplingOptions sampling = {};
  std::function<bool(const std::string& text)> on_text = {};  // after every token, possibly with no text; false stops
};

struct GenerateResult {
  std::vector<std::int32_t> ids;  // without the stop token
  std::string text;
  bool stopped_by_id = false;  // else max_tokens, the context's end or on_text
  double seconds = 0;          // decode only
  double tokens_per_second = 0;
};

/// first_logits: of the token last read by session (what read() returned).
GenerateResult generate(Session& session, const Tokenizer& tokenizer, std::span<const float> first_logits,
                        const GenerateOptions& options);

}  // namespace tca::runtime
