#include "runtime/engine/generate.h"

#include <algorithm>
#include <chrono>

#include "core/check.h"

namespace tca::runtime {
GenerateResult generate(Session& session, const Tokenizer& tokenizer, std::span<const float> first_logits,
                        const GenerateOptions& options) {
  check_argument(options.max_tokens >= 0, "max_tokens is ", options.max_tokens, "; expected 0 or more");
  const auto begin = std::chrono::steady_clock::now();
  Sampler sampler(options.sampling);
  sampler.note(session.tokens());
  StreamDecoder decoder(tokenizer);
  GenerateResult result;
  std::int64_t read = 0;
  const auto emit = [&](const std::string& text) {
    result.text += text;
    return !options.on_text || options.on_text(text);
  };
  std::span<const float> logits = first_logits;
  bool wanted = true;
  while (wanted && static_cast<std::int64_t>(result.ids.size()) < options.max_tokens &&
         session.num_tokens() < session.context_limit()) {
    const std::int32_t id = sampler.sample(logits);
    sampler.note(std::span(&id, 1));
    logits = session.read(std::span(&id, 1));
    ++read;
    if (std::find(options.stop_ids.begin(), options.stop_ids.end(), id) != options.stop_ids.end()) {
      result.stopped_by_id = true;
      break;
    }
    result.ids.push_back(id);
    wanted = emit(decoder.push(id));
  }
  if (const std::string rest = decoder.finish(); wanted && !rest.empty()) emit(rest);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (result.seconds > 0) result.tokens_per_second = static_cast<double>(read) / result.seconds;
  return result;
}

}  // namespace tca::runtime
