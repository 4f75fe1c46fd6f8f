// How many answers survive each share to keep.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "evaluation/quality.h"
#include "tca/profile.h"

namespace tca::calibration {

/// Of the questions that full attention answers, the share that the profile's answer risk still answers at each of
/// `shares`, ascending. Empty where nothing is answered. Throws kCancelled when progress returns false.
std::vector<MeasuredAnswers> measure_answers(const evaluation::Setup& setup,
                                             const std::shared_ptr<const Profile>& profile,
                                             std::span<const evaluation::LookupDocument> documents,
                                             std::span<const double> shares, const runtime::Progress& progress);

}  // namespace tca::calibration
