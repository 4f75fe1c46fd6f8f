// Shapes of well-known models for measurements with random weights, and a profile for them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/io/model_config.h"
#include "tca/profile.h"

namespace tca::cli {

/// What random_shape() knows.
std::vector<std::string> random_shape_names();
/// The configuration of a shape; extra_positions are added to its longest context. Throws kInvalidArgument for a name
/// that is not known.
runtime::ModelConfig random_shape(const std::string& name, std::int64_t extra_positions);

/// A profile for another model whose budgets have the source's mean shares, spread over layers and KV heads as there.
/// Source and result are laid over each other, layers from first to last, heads from first to last: a head takes the
/// shares of the source's head it lies in, or, where it lies across several, their mean by overlap.
Profile spread_profile(const Profile& source, const ModelFingerprint& model);

}  // namespace tca::cli
