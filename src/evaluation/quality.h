// What keeping less costs in answers: planted facts asked about, and loss on plain text, for methods side by side.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "evaluation/lookup_tasks.h"
#include "runtime/engine/session.h"

namespace tca::evaluation {

/// What every evaluation runs on; all of it must outlive the call.
struct Setup {
  std::shared_ptr<const runtime::Model> model;
  const Backend& backend;
  ThreadPool& pool;
  const runtime::Tokenizer& tokenizer;
  std::vector<std::int32_t> stop_ids;  // end an answer
};

/// One way to read a prompt, as a row of the table.
struct Method {
  std::string name;
  runtime::SessionOptions options;
};

/// From a short text: "full"; "tca:0.2" (the profile's usual objective); "tca:0.2/0.1" (prefill over a tenth);
/// "paper:0.39" (its paper budgets);
/// "window:0.39" (sinks and the last tokens only, as StreamingLLM keeps them, at that share of context_tokens);
/// "snapkv:0.39", "pyramidkv:0.39", "adakv:0.39", "expected-attention:0.39", "adakv-ea:0.39", "duo:0.39"
/// (methods/published.h; duo by base's profile). base gives everything else (profile, pool, context). Throws
/// kInvalidArgument listing the forms.
Method parse_method(const std::string& form, const runtime::SessionOptions& base, const ModelFingerprint& model,
                    std::int64_t context_tokens);

/// When the question is read. Later: after the document's tokens were dropped, as in a conversation. First: together
/// with the document, so that tokens are chosen for it (one document read a question).
enum class AskOrder { kLater, kFirst };

struct Score {
  std::int64_t questions = 0;
  std::int64_t found = 0;                     // the value stands in what the model says by itself
  std::int64_t exact = 0;                     // every answer token right
  std::int64_t tokens = 0, tokens_right = 0;  // teacher-forced, by the largest logit
  double log_prob_sum = 0;                    // nats, of the answer tokens

  double found_share() const { return questions > 0 ? static_cast<double>(found) / static_cast<double>(questions) : 0; }
  double exact_match() const { return questions > 0 ? static_cast<double>(exact) / static_cast<double>(questions) : 0; }
  double token_accuracy() const {
    return tokens > 0 ? static_cast<double>(tokens_right) / static_cast<double>(tokens) : 0;
  }
  double mean_log_prob() const { return tokens > 0 ? log_prob_sum / static_cast<double>(tokens) : 0; }
  Score& operator+=(const Score& other);
};

struct KindScore {
  FactKind kind = FactKind::kNumber;
  Score score = {};
};

/// What the model said by itself to one question.
struct Answer {
  std::int32_t document = 0, fact = 0;  // places in documents and in its facts
  FactKind kind = FactKind::kNumber;
  std::string text = {};
  bool found = false;
};

struct LookupResult {
  std::string method = {};
  Score total = {};
  std::vector<KindScore> kinds = {};  // those that were asked, in the order of FactKind
  std::vector<Answer> answers = {};   // by document, then by fact
  // Means over documents, after the document was read
  double kept_share = 1, density = 1, kv_bytes = 0, read_seconds = 0;
};

/// Progress counts tokens read. Throws kCancelled when it returns false.
LookupResult evaluate_lookup(const Setup& setup, const Method& method, std::span<const LookupDocument> documents,
                             AskOrder order = AskOrder::kLater, const runtime::Progress& progress = {});

/// Loss on plain text.
struct TextLoss {
  std::int64_t tokens = 0;  // scored
  double nll = 0;           // nats a token
};

struct TextResult {
  std::string method = {};
  TextLoss prompt = {};     // while it is read: what prefill over fewer pairs costs
  TextLoss continued = {};  // after it was read: what was dropped is not there
  double kept_share = 1, density = 1, read_seconds = 0;
};

/// How many tokens behind a text tell what its dropped tokens cost.
inline constexpr std::int64_t kContinuedTokens = 128;

/// Each text is read at once but for its last continued_tokens, of which the second half is scored; then those are
/// read, all of them scored.
TextResult evaluate_text(const Setup& setup, const Method& method, std::span<const std::vector<std::int32_t>> texts,
                         std::int64_t continued_tokens = kContinuedTokens, const runtime::Progress& progress = {});

}  // namespace tca::evaluation
