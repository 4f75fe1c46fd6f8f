#include "evaluation/reads.h"

#include "core/check.h"

namespace tca::evaluation {

runtime::Progress ReadCounter::next(std::int64_t num_tokens) {
  const std::int64_t before = done_;
  done_ += num_tokens;
  if (!progress_) return {};
  return [this, before, num_tokens](std::int64_t done, std::int64_t total) {
    return progress_(before + (total > 0 ? num_tokens * done / total : 0), total_);
  };
}

void ReadCounter::check_stop() const {
  if (progress_ && !progress_(done_, total_)) {
    fail(ErrorCategory::kCancelled, "cancelled while answers were generated");
  }
}

void ReadCounter::finish() const {
  if (progress_) progress_(total_, total_);
}

void ReadMeans::add(const runtime::Session& session) {
  ++reads_;
  kept_share_ += session.kept_share();
  density_ += session.last_read().density;
  kv_bytes_ += static_cast<double>(session.kv_bytes());
  seconds_ += session.last_read().seconds;
}

runtime::GenerateResult says(const Setup& setup, runtime::Session& session, std::span<const float> logits,
                             std::int64_t max_tokens, const ReadCounter& counter) {
  runtime::GenerateOptions options;
  options.max_tokens = max_tokens;
  options.stop_ids = setup.stop_ids;
  options.on_text = [&counter](const std::string&) {
    counter.check_stop();
    return true;
  };
  return runtime::generate(session, setup.tokenizer, logits, options);
}

}  // namespace tca::evaluation
