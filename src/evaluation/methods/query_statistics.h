// What Expected Attention takes queries of the future for: normal, with mean and covariance of those of a segment.
#pragma once

#include <cstdint>
#include <vector>

#include "evaluation/methods/scored_tokens.h"
#include "runtime/model/rope.h"

namespace tca::evaluation {

struct FutureRotation {
  runtime::RopeTable past;   // of the segment's own positions
  std::vector<double> c, s;  // [d / 2]: the mean of cosines and sines of the positions that follow
  double scaling = 1;        // the factor on all of them that turn
  std::size_t turned = 0;    // so many: the first
};

FutureRotation future_rotation(const MethodLayer& at, std::int64_t positions);

struct QueryStatistics {
  std::vector<double> mean;        // [d]
  std::vector<double> covariance;  // [d, d]
};

/// Of a query head's queries before RoPE from token `first` on, turned by the mean rotation. The layer has all queries.
QueryStatistics query_statistics(const MethodLayer& at, const FutureRotation& rotation, std::int64_t head,
                                 std::int64_t first);

}  // namespace tca::evaluation
