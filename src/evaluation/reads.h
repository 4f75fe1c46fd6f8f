// What evaluations share: reads counted for progress, what they cost on the average, and answers as they are generated.
#pragma once

#include <cstdint>
#include <span>

#include "evaluation/quality.h"
#include "runtime/engine/generate.h"

namespace tca::evaluation {

/// Adds up the reads of one evaluation for its caller's progress, which must outlive it.
class ReadCounter {
 public:
  ReadCounter(const runtime::Progress& progress, std::int64_t total) : progress_(progress), total_(total) {}
  /// For one read of num_tokens.
  runtime::Progress next(std::int64_t num_tokens);
  /// Between two reads. Throws kCancelled.
  void check_stop() const;
  void finish() const;

 private:
  const runtime::Progress& progress_;
  std::int64_t total_ = 0;
  std::int64_t done_ = 0;
};

/// Means over sessions, each right after its document was read.
class ReadMeans {
 public:
  void add(const runtime::Session& session);
  double kv_bytes() const { return kv_bytes_ / reads_; }
  template <class Result>
  void write_to(Result& result) const {
    result.kept_share = kept_share_ / reads_;
    result.density = density_ / reads_;
    result.read_seconds = seconds_ / reads_;
  }

 private:
  double reads_ = 0, kept_share_ = 0, density_ = 0, kv_bytes_ = 0, seconds_ = 0;
};

/// What the model says by itself after logits, the most likely token at a time.
runtime::GenerateResult says(const Setup& setup, runtime::Session& session, std::span<const float> logits,
                             std::int64_t max_tokens, const ReadCounter& counter);

}  // namespace tca::evaluation
