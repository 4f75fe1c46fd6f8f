// Finds how much each KV head needs: candidate configurations, dropped mass on sampled rows, one choice for all heads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "calibration/sequences.h"
#include "runtime/engine/session.h"
#include "tca/backend.h"
#include "tca/profile.h"

namespace tca::calibration {

struct CalibrationOptions {
  SelectionRule rule;  // of tail-risk budgets
  SelectionRule paper_rule = {.probe_queries = 1, .pool_width = 1, .order = BlockOrder::kSimpson};  // of paper budgets
  std::vector<double> budgets = {0.05, 0.1, 0.15, 0.2, 0.3, 0.39};  // mean kept share, each in (0, 1]
  std::vector<std::string> objectives = {"tail-risk", "paper"};
  std::int32_t rows = 192;  // sampled query rows a sequence
  double tail = 0.1;        // tail-risk: a head's risk is the mean of this worst share of rows
  std::uint64_t seed = 0;
};

/// Log-Gaussian candidates over {1, 2, 4, ..., block_size} on a grid of (mu, sigma), with full and window; ascending by
/// kept share.
std::vector<BlockShares> candidate_configurations(std::int32_t block_size);

/// Of this model and day, without configurations.
Profile empty_profile(const ModelFingerprint& model, const SelectionRule& rule, std::uint64_t seed);

/// What calibrate() measures, for whoever runs the model: begin() a sequence, on_layer() for each of its layers, and at
/// last profile().
class MassCalibration : public runtime::LayerObserver {
 public:
  /// memory: of the layers' tensors. References outlive it. Throws kInvalidArgument.
  MassCalibration(ModelFingerprint model, const Backend& backend, ThreadPool& pool, Memory& memory,
                  CalibrationOptions options);
  ~MassCalibration() override;

  /// The next sequence: as of CalibrationSequence.
  void begin(std::int64_t num_tokens, std::int64_t document_tokens);
  void on_layer(std::int32_t layer, const TensorView& q, const TensorView& k, const TensorView& v) override;
  /// One configuration per objective and budget. Throws kInvalidArgument when nothing was read.
  Profile profile() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One dense forward pass over each sequence; the profile holds one configuration per objective and budget.
Profile calibrate(std::shared_ptr<const runtime::Model> model, const Backend& backend, ThreadPool& pool,
                  std::span<const CalibrationSequence> sequences, const CalibrationOptions& options,
                  const runtime::Progress& progress = {});

}  // namespace tca::calibration
