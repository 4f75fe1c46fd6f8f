// Finds how much each KV head needs: candidate configurations, dropped mass on sampled rows, one choice for all heads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/engine/session.h"
#include "tca/backend.h"
#include "tca/profile.h"

namespace tca::calibration {

struct CalibrationOptions {
  SelectionRule rule;
  std::vector<double> budgets = {0.05, 0.1, 0.15, 0.2, 0.3, 0.4};  // mean kept share, each in (0, 1]
  std::vector<std::string> objectives = {"tail-risk", "paper"};
  std::int32_t rows = 192;  // sampled query rows a sequence
  std::uint64_t seed = 0;
};

/// Log-Gaussian candidates over {1, 2, 4, ..., block_size} on a grid of (mu, sigma), with full and window; ascending by
/// kept share.
std::vector<BlockShares> candidate_configurations(std::int32_t block_size);

/// One dense forward pass over each sequence; the profile holds one configuration per objective and budget.
Profile calibrate(std::shared_ptr<const runtime::Model> model, const Backend& backend, ThreadPool& pool,
                  std::span<const std::vector<std::int32_t>> sequences, const CalibrationOptions& options,
                  const runtime::Progress& progress = {});

}  // namespace tca::calibration
