// The oracle behind the tests: every operation in double, from the steps of reference/steps.h.
#pragma once

#include <memory>

#include "tca/backend.h"

namespace tca {

/// Any head_dim, dtype and GQA ratio. Single-threaded, O(L^2 d): for checking, not for use.
std::unique_ptr<Backend> create_reference_backend();

}  // namespace tca
