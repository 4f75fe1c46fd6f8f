#include "calibration/calibrate_answers.h"

#include <algorithm>
#include <cstddef>

#include "calibration/query_bank.h"
#include "core/check.h"
#include "runtime/engine/bank_probes.h"
#include "runtime/model/answer_gradient.h"

namespace tca::calibration {
namespace {

using evaluation::LookupDocument;
using runtime::DocumentLayer;
using runtime::QuestionRows;

// Of a continuation: the margins of its first tokens depend on how it was cut out of its text.
constexpr std::size_t kPlainLead = 8;

/// What a dense read left, in host memory, and how the bank scores the document's tokens.
class DocumentCapture : public runtime::LayerObserver {
 public:
  DocumentCapture(const Backend& backend, Memory& memory, const runtime::BankProbes* bank)
      : backend_(backend), memory_(memory), bank_(bank) {}

  void on_layer(std::int32_t layer, const TensorView&, const TensorView& k, const TensorView& v) override {
    layers_.push_back({.k = copy(k), .v = copy(v)});
    if (bank_ == nullptr) return;
    std::vector<float>& scores = scores_.emplace_back();
    scores.resize(static_cast<std::size_t>(k.num_heads * k.num_tokens));
    backend_.probe_scores({.q = bank_->queries(layer), .k = k, .pool_width = 1, .probes_follow = true}, scores);
  }

  std::span<const DocumentLayer> layers() const { return layers_; }
  std::span<const float> scores(std::int32_t layer) const { return scores_[static_cast<std::size_t>(layer)]; }

 private:
  TensorView copy(TensorView view) {
    auto& bytes = blocks_.emplace_back(static_cast<std::size_t>(view.num_tokens * view.num_heads * view.head_dim) *
                                       dtype_size(view.dtype));
    memory_.copy(bytes.data(), view.data, bytes.size());  // contiguous, as observers get it
    view.data = bytes.data();
    return view;
  }

  const Backend& backend_;
  Memory& memory_;  // of the layers' tensors
  const runtime::BankProbes* bank_;
  std::vector<std::vector<std::byte>> blocks_;
  std::vector<DocumentLayer> layers_;
  std::vector<std::vector<float>> scores_;  // [layers][Hk, T]
};

/// Questions with their answers, whose tokens are the targets.
void add_questions(const LookupDocument& document, QuestionRows& rows, std::vector<QuestionKind>& kinds) {
  for (std::size_t i = 0; i < document.questions.size(); ++i) {
    std::vector<std::int32_t> ids = document.questions[i];
    std::vector<std::int32_t> targets(ids.size(), -1);
    targets.back() = document.answers[i].front();
    // The answer's last token is read by nobody.
    for (std::size_t t = 0; t + 1 < document.answers[i].size(); ++t) {
      ids.push_back(document.answers[i][t]);
      targets.push_back(document.answers[i][t + 1]);
    }
    rows.add(ids, targets);
    kinds.push_back(QuestionKind::kAnswer);
  }
}

void add_plain(std::span<const std::int32_t> text, QuestionRows& rows, std::vector<QuestionKind>& kinds) {
  std::vector<std::int32_t> targets(text.size() - 1, -1);
  for (std::size_t t = kPlainLead; t + 1 < text.size(); ++t) targets[t] = text[t + 1];
  rows.add(text.first(text.size() - 1), targets);
  kinds.push_back(QuestionKind::kPlain);
}

class Calibration {
 public:
  Calibration(const evaluation::Setup& setup, const runtime::Model& host, const AnswerOptions& options,
              const runtime::Progress& progress)
      : setup_(setup),
        config_(host.config()),
        options_(options),
        progress_(progress),
        gradient_(config_, host.weights(), setup.pool) {}

  void expect(const AnswerMaterial& material) {
    for (const auto* documents : {&material.bank, &material.risk}) {
      for (const LookupDocument& document : *documents) units_ += std::ssize(document.context);
    }
  }

  void make_bank(std::span<const LookupDocument> documents) {
    QueryBankBuilder builder(config_.num_layers, config_.num_heads, config_.head_dim);
    for (const LookupDocument& document : documents) {
      const DocumentCapture capture = read(document);
      QuestionRows rows;
      std::vector<QuestionKind> kinds;
      add_questions(document, rows, kinds);
      // Of question and answer, all rows: what asks is not the last one alone.
      std::vector<std::int64_t> all(static_cast<std::size_t>(rows.num_rows()));
      for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
      gradient_.forward(capture.layers(), rows,
                        [&](std::int32_t layer, const TensorView& q) { builder.add(layer, q, all); });
    }
    bank_ = builder.build({.count = options_.bank_queries, .seed = options_.seed}, options_.bank_distance, setup_.pool);
  }

  RiskCurves make_curves(std::span<const LookupDocument> documents, std::span<const std::vector<std::int32_t>> plain) {
    const RiskOptions risk{.sinks = options_.rule.sinks, .windows = options_.windows, .shares = options_.shares};
    AnswerRiskSums sums(risk, config_.num_layers, config_.num_kv_heads);
    for (std::size_t d = 0; d < documents.size(); ++d) {
      const DocumentCapture capture = read(documents[d]);
      QuestionRows rows;
      std::vector<QuestionKind> kinds;
      add_questions(documents[d], rows, kinds);
      for (std::size_t i = d; i < plain.size(); i += documents.size()) add_plain(plain[i], rows, kinds);
      gradient_.run(capture.layers(), rows, [&](const runtime::LayerGradient& layer) {
        const std::vector<double> changes =
            margin_changes({.rows = &layer,
                            .questions = rows.begins,
                            .document = capture.layers()[static_cast<std::size_t>(layer.layer)],
                            .scores = capture.scores(layer.layer)},
                           risk, setup_.pool);
        sums.add(layer.layer, changes, kinds);
      });
    }
    return sums.curves();
  }

  QueryBank take_bank() { return std::move(bank_); }

 private:
  DocumentCapture read(const LookupDocument& document) {
    runtime::Session session(setup_.model, setup_.backend, setup_.pool, {.attention = runtime::AttentionMode::kFull});
    const auto tokens = static_cast<std::int64_t>(document.context.size());
    Memory& memory = setup_.model->device_memory();
    std::optional<runtime::BankProbes> probes;
    if (bank_.queries > 0) {
      probes.emplace(bank_, config_, tokens - 1 + bank_.distance, setup_.model->precision().kv, memory, setup_.pool);
    }
    DocumentCapture capture(setup_.backend, memory, probes ? &*probes : nullptr);
    session.read(document.context, {.num_logits = 0, .observer = &capture});
    done_ += tokens;
    if (progress_ && !progress_(done_, std::max(units_, done_)))
      fail(ErrorCategory::kCancelled, "calibration was cancelled");
    return capture;
  }

  const evaluation::Setup& setup_;
  const runtime::ModelConfig& config_;
  const AnswerOptions& options_;
  const runtime::Progress& progress_;
  runtime::AnswerGradient gradient_;
  QueryBank bank_;
  std::int64_t done_ = 0, units_ = 0;
};

void check(const AnswerMaterial& material, const AnswerOptions& options) {
  check_argument(!material.bank.empty() && !material.risk.empty(),
                 "there are no documents with questions to calibrate on");
  check_argument(options.bank_queries >= 1, "bank_queries is ", options.bank_queries, "; expected 1 or more");
  for (const LookupDocument& document : material.risk) {
    const std::int64_t least = 2 * (std::int64_t{options.windows.back()} + options.rule.sinks);
    check_argument(std::ssize(document.context) >= least, "a calibration document has ", document.context.size(),
                   " tokens; expected at least twice the largest window and the sinks, ", least);
  }
}

/// Of the answers that full attention finds, the share that is still found.
std::vector<MeasuredAnswers> measure(const evaluation::Setup& setup, const std::shared_ptr<const Profile>& profile,
                                     std::span<const LookupDocument> documents, std::span<const double> shares) {
  const auto found = [&](double keep) {
    runtime::SessionOptions options{.attention = runtime::AttentionMode::kFull};
    if (keep < 1)
      options = {.attention = runtime::AttentionMode::kTca, .profile = profile, .keep = keep, .objective = kAnswerRisk};
    return evaluation::evaluate_lookup(setup, {.name = "", .options = options}, documents).total.found;
  };
  std::vector<MeasuredAnswers> measured;
  const std::int64_t full = documents.empty() ? 0 : found(1);
  if (full == 0) return measured;
  for (const double keep : shares) {
    const double kept = static_cast<double>(found(keep)) / static_cast<double>(full);
    measured.push_back({.keep = keep, .answers_kept = std::min(1.0, kept), .questions = full});
  }
  return measured;
}

}  // namespace

AnswerRisk calibrate_answers(const evaluation::Setup& setup, const runtime::Model& host, const AnswerMaterial& material,
                             const ModelFingerprint& fingerprint, const AnswerOptions& options,
                             const runtime::Progress& progress) {
  check(material, options);
  Calibration calibration(setup, host, options, progress);
  calibration.expect(material);
  calibration.make_bank(material.bank);
  auto profile = std::make_shared<Profile>();
  profile->model = fingerprint;
  profile->rule = options.rule;
  AnswerRisk& answers = profile->answer_risk.emplace();
  answers.rule = options.rule;
  answers.keep = calibration.make_curves(material.risk, material.plain);
  answers.bank = calibration.take_bank();
  answers.measured = measure(setup, profile, material.measure, options.measured);
  return answers;
}

}  // namespace tca::calibration
