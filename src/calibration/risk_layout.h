// The order in which a head's tokens are summed up, so that what every option keeps is a few runs of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "calibration/answer_risk.h"

namespace tca::calibration {

/// One KV head's document: sinks first, then the tokens of the smallest window, those that the next one adds, and so
/// on, and last those of no window, each of these classes by score. An option keeps sinks and all of its windows'
/// classes, and the beginnings of the others.
struct RiskLayout {
  std::vector<std::int32_t> order;  // [T]: document positions
  std::vector<std::int32_t> ends;   // of runs, ascending to T: wherever an option or a tile of tokens ends
  struct Run {                      // runs [begin, end)
    std::int32_t begin = 0, end = 0;
  };
  std::vector<std::vector<Run>> kept;  // [options]: what each keeps, never an empty run
};

/// scores [T]; tile: runs do not cross its multiples.
RiskLayout lay_out(std::span<const float> scores, const RiskOptions& options, std::int64_t tile);

}  // namespace tca::calibration
