// Files the user asks to be written: looked at before the work that fills them.
#pragma once

#include <string>

namespace tca::cli {

enum class FileKind { kProfile, kSession };

/// Throws kIo where the file could not be written. asked_as: the option or command that named it.
void check_writable(const std::string& path, const std::string& asked_as);

/// Throws kInvalidArgument where the file is there, unless --force was given.
void check_not_there(const std::string& path, const std::string& asked_as, bool force);

/// As check_writable, and kInvalidArgument where it holds something else than its kind and
/// replace_others is not set.
void check_target(const std::string& path, FileKind kind, const std::string& asked_as, bool replace_others);

}  // namespace tca::cli
