// Curves of answer risk for every KV head, and the query bank by which tokens are chosen: from documents whose facts
// are asked for after they were read, and from how the documents themselves go on.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "calibration/answer_risk.h"
#include "evaluation/quality.h"
#include "runtime/engine/session.h"
#include "tca/profile.h"

namespace tca::calibration {

struct AnswerOptions {
  // The bank's probes are taken as they are; the last queries' are prefill's and thinning's.
  SelectionRule rule = {.window = 64, .pool_width = 1, .order = BlockOrder::kTokens};
  std::vector<std::int32_t> windows = {8, 16, 32, 64};
  std::vector<double> shares = {0, .01, .02, .03, .05, .08, .12, .18, .27, .4, .6, 1};
  std::int32_t bank_queries = 64;
  std::int32_t bank_distance = 20;                    // about half a question
  std::vector<double> measured = {.05, .1, .2, .39};  // shares whose answers are counted
  std::uint64_t seed = 0;
};

struct AnswerMaterial {
  std::vector<evaluation::LookupDocument> bank;     // the bank is made from their questions
  std::vector<evaluation::LookupDocument> risk;     // curves are
  std::vector<evaluation::LookupDocument> measure;  // answers are counted on; may be empty
};

/// `host` has the same weights on the CPU, and is `setup.model` where that computes there.
/// Throws kInvalidArgument for documents shorter than the options' windows.
AnswerRisk calibrate_answers(const evaluation::Setup& setup, const runtime::Model& host, const AnswerMaterial& material,
                             const ModelFingerprint& fingerprint, const AnswerOptions& options,
                             const runtime::Progress& progress = {});

}  // namespace tca::calibration
