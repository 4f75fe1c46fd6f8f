// Expectations on tca::Error: its category, and what its message names.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tca/error.h"

namespace tca::testing {

template <class Action>
void expect_error(ErrorCategory category, const std::string& part, const Action& action) {
  try {
    action();
    ADD_FAILURE() << "no error; expected one that says '" << part << "'";
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.category()), static_cast<int>(category)) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
        << "'" << error.what() << "' does not say '" << part << "'";
  }
}

}  // namespace tca::testing
