// Errors of libtca: one exception type, never a print, never an abort.
#pragma once

#include <stdexcept>
#include <string>

#include "tca/version.h"

namespace tca {

enum class ErrorCategory {
  kInvalidArgument,  // a parameter is out of its documented range
  kUnsupported,      // a valid request that this build, backend or machine cannot serve
  kBadFile,          // a file's content is not what its format says
  kIo,               // the operating system refused: missing file, disk full
  kOutOfBudget,      // a KV pool's byte budget is used up
  kCancelled,        // the caller asked to stop
};

/// Thrown by every function of the library. what() names the file, field or parameter, its value, and what to do.
class TCA_API Error : public std::runtime_error {
 public:
  Error(ErrorCategory category, const std::string& message) : std::runtime_error(message), category_(category) {}
  ErrorCategory category() const noexcept { return category_; }

 private:
  ErrorCategory category_;
};

}  // namespace tca
