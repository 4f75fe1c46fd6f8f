#include "calibration/calibrate_answers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "calibration/document_capture.h"
#include "calibration/measure_answers.h"
#include "calibration/query_bank.h"
#include "core/check.h"
#include "evaluation/answers.h"
#include "runtime/engine/bank_probes.h"
#include "runtime/engine/generate.h"
#include "runtime/model/answer_gradient.h"

namespace tca::calibration {
namespace {

using evaluation::LookupDocument;
using runtime::DocumentLayer;
using runtime::QuestionRows;

// Where documents are cut to see how they go on, in parts of their length, and for how many tokens.
constexpr std::array<double, 2> kCuts = {0.5, 0.9};
constexpr std::int64_t kContinued = 48;

/// A question and what is said to it. Of the answer's tokens the last `num_targets` count: those of the value. The
/// words that lead to it are copied from the question, and what they gain would hide what it loses.
void add_question(std::span<const std::int32_t> question, std::span<const std::int32_t> answer, std::size_t num_targets,
                  QuestionRows& rows) {
  std::vector<std::int32_t> ids(question.begin(), question.end());
  ids.insert(ids.end(), answer.begin(), answer.end() - 1);  // the last one is read by nobody
  std::vector<std::int32_t> targets(ids.size(), -1);
  const auto count = static_cast<std::ptrdiff_t>(std::min(num_targets, answer.size()));
  std::copy(answer.end() - count, answer.end(), targets.end() - count);
  rows.add(ids, targets);
}

/// The document's tokens from `begin` on, each of which the one before it foretells.
QuestionRows continuation(const LookupDocument& document, std::int64_t begin) {
  const std::int64_t end = std::min(begin + kContinued, std::ssize(document.context) - 1);
  const auto at = [&](std::int64_t i) { return document.context.begin() + i; };
  QuestionRows rows;
  rows.add(std::vector<std::int32_t>(at(begin), at(end)), std::vector<std::int32_t>(at(begin + 1), at(end + 1)));
  return rows;
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

  /// Of all rows of questions and answers, by how much the value depends on what they read: what asks is not the last
  /// one alone.
  void make_bank(std::span<const LookupDocument> documents) {
    QueryBankBuilder builder(config_.num_layers, config_.num_heads, config_.head_dim);
    for (const LookupDocument& document : documents) {
      const ReadDocument read = this->read(document);
      QuestionRows rows;
      for (std::size_t i = 0; i < document.questions.size(); ++i) {
        const std::vector<std::int32_t> said = own_answer(read.session, document, i);
        const std::vector<std::int32_t>& value = document.answers[i];
        add_question(document.questions[i], value, value.size(), rows);
        if (!said.empty()) add_question(document.questions[i], said, value.size(), rows);
      }
      gradient_.run(
          read.capture.layers(), rows, {}, [&](std::int32_t layer, const TensorView& q) { builder.add(layer, q); },
          {.sinks = options_.rule.sinks,
           .observer = [&](std::int32_t layer, std::span<const float> weights) { builder.weigh(layer, weights); }});
    }
    bank_ = builder.build({.count = options_.bank_queries, .seed = options_.seed}, options_.bank_distance, setup_.pool);
  }

  void make_curves(std::span<const LookupDocument> documents, AnswerRisk& answers) {
    const RiskOptions keep{.sinks = options_.rule.sinks, .windows = options_.windows, .shares = options_.shares};
    const RiskOptions attend{.sinks = keep.sinks, .windows = {options_.rule.window}, .shares = keep.shares};
    AnswerRiskSums kept(keep, config_.num_layers, config_.num_kv_heads);
    AnswerRiskSums attended(attend, config_.num_layers, config_.num_kv_heads);
    for (const LookupDocument& document : documents) {
      const ReadDocument read = this->read(document);
      ask(document, read, keep, kept);
      for (const double cut : kCuts) go_on(document, read.capture, cut, keep, kept, attend, attended);
    }
    check_argument(num_answered_ > 0, "the model answered none of the questions about ", documents.size(),
                   " documents, so there are no answers to keep: calibrate it with the objective tail-risk");
    answers.keep = kept.curves();
    answers.attend = attended.curves();
  }

  QueryBank take_bank() { return std::move(bank_); }
  bool may_go_on() const { return !progress_ || progress_(done_, std::max(units_, done_)); }

 private:
  struct ReadDocument {
    runtime::Session session;
    DocumentCapture capture;
  };

  /// What the model says by itself, up to the end of the value that was asked for; nothing when it does not say it.
  std::vector<std::int32_t> own_answer(const runtime::Session& read, const LookupDocument& document, std::size_t i) {
    runtime::Session session = read.fork();
    std::string text;
    bool found = false;
    runtime::GenerateOptions options{
        .max_tokens = evaluation::max_answer_tokens(document.facts[i], std::ssize(document.answers[i])),
        .stop_ids = setup_.stop_ids};
    options.sampling.temperature = 0;
    options.on_text = [&](const std::string& piece) {
      check_stop();
      text += piece;
      found = evaluation::answer_found(text, document.facts[i]);
      return !found;
    };
    const std::span<const float> logits = session.read(document.questions[i]);
    const runtime::GenerateResult said = runtime::generate(session, setup_.tokenizer, logits, options);
    return found ? said.ids : std::vector<std::int32_t>();
  }

  /// What the answers that the model finds lose by what the document's end keeps.
  void ask(const LookupDocument& document, const ReadDocument& read, const RiskOptions& options, AnswerRiskSums& sums) {
    QuestionRows rows;
    std::vector<QuestionKind> kinds;
    for (std::size_t i = 0; i < document.questions.size(); ++i) {
      const std::vector<std::int32_t> said = own_answer(read.session, document, i);
      if (said.empty()) continue;
      // In the model's own words, and as who is asked for the value alone answers.
      const std::vector<std::int32_t>& value = document.answers[i];
      add_question(document.questions[i], said, value.size(), rows);
      add_question(document.questions[i], value, value.size(), rows);
      kinds.insert(kinds.end(), 2, QuestionKind::kAnswer);
    }
    num_answered_ += std::ssize(kinds) / 2;
    if (kinds.empty()) return;
    const std::int64_t tokens = std::ssize(document.context);
    gradient_.run(read.capture.layers(), rows, [&](const runtime::LayerGradient& layer) {
      const std::vector<float> scores = read.capture.by_bank(layer.layer, tokens);
      sums.add(layer.layer, changes_of(layer, rows, read.capture.layers(), scores, options), kinds);
    });
  }

  /// What the document's own next tokens lose when it is cut, by what is kept of it and by what prefill computes over.
  void go_on(const LookupDocument& document, const DocumentCapture& capture, double cut, const RiskOptions& keep,
             AnswerRiskSums& kept, const RiskOptions& attend, AnswerRiskSums& attended) {
    const auto tokens = static_cast<std::int64_t>(cut * static_cast<double>(document.context.size()));
    const QuestionRows rows = continuation(document, tokens);
    const std::vector<DocumentLayer> layers = capture.first_tokens(tokens);
    gradient_.run(layers, rows, [&](const runtime::LayerGradient& layer) {
      const std::vector<double> change = changes_of(layer, rows, layers, capture.by_bank(layer.layer, tokens), keep);
      kept.add(layer.layer, change, std::array{QuestionKind::kPlain});
      std::vector<double> in_prefill =
          changes_of(layer, rows, layers, capture.by_last_queries(layer.layer, tokens), attend);
      // It is the text's own tokens that prefill must get right, in either direction.
      for (double& value : in_prefill) value = -std::abs(value);
      attended.add(layer.layer, in_prefill, std::array{QuestionKind::kAnswer});
    });
  }

  std::vector<double> changes_of(const runtime::LayerGradient& layer, const QuestionRows& rows,
                                 std::span<const DocumentLayer> document, std::span<const float> scores,
                                 const RiskOptions& options) {
    check_stop();
    return margin_changes({.rows = &layer,
                           .questions = rows.begins,
                           .document = document[static_cast<std::size_t>(layer.layer)],
                           .scores = scores},
                          options, setup_.pool);
  }

  ReadDocument read(const LookupDocument& document) {
    const std::int64_t tokens = std::ssize(document.context);
    Memory& memory = setup_.model->device_memory();
    std::optional<runtime::BankProbes> probes;
    if (bank_.queries > 0) {
      probes.emplace(bank_, config_, tokens - 1 + bank_.distance, config_.is_long_context(tokens),
                     setup_.model->precision().kv, memory, setup_.pool);
    }
    ReadDocument read{
        runtime::Session(setup_.model, setup_.backend, setup_.pool, {.attention = runtime::AttentionMode::kFull}),
        DocumentCapture(setup_.backend, memory, probes ? &*probes : nullptr, options_.rule.probe_queries,
                        [this] { check_stop(); })};
    read.session.read(document.context, {.num_logits = 0, .observer = &read.capture});
    done_ += tokens;
    check_stop();
    return read;
  }

  void check_stop() const {
    if (!may_go_on()) fail(ErrorCategory::kCancelled, "cancelled while the model was calibrated");
  }

  const evaluation::Setup& setup_;
  const runtime::ModelConfig& config_;
  const AnswerOptions& options_;
  const runtime::Progress& progress_;
  runtime::AnswerGradient gradient_;
  QueryBank bank_;
  std::int64_t num_answered_ = 0;
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
  calibration.make_curves(material.risk, answers);
  answers.bank = calibration.take_bank();
  answers.measured = measure_answers(setup, profile, material.measure, options.measured,
                                     [&](std::int64_t, std::int64_t) { return calibration.may_go_on(); });
  return answers;
}

}  // namespace tca::calibration
