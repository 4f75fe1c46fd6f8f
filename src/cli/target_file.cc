#include "cli/target_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cli/session_report.h"
#include "core/file.h"
#include "core/json.h"
#include "tca/error.h"

namespace tca::cli {

namespace {

namespace fs = std::filesystem;

// Of any version: an older profile may be replaced, too.
bool is_profile(const std::string& path) {
  constexpr std::size_t kMostBytes = std::size_t{64} << 20;
  try {
    const JsonDocument document(parse_json(read_file(path, kMostBytes), path));
    return get_string(*document, "format", path).starts_with("tca-profile/");
  } catch (const Error& error) {
    if (error.category() != ErrorCategory::kBadFile) throw;
    return false;
  }
}

}  // namespace

void check_writable(const std::string& path, const std::string& asked_as) {
  std::error_code error;
  const fs::file_status there = fs::status(path, error);
  if (fs::exists(there) && !fs::is_regular_file(there)) {
    throw Error(ErrorCategory::kIo, fmt::format("{} {}: it exists and is not a regular file", asked_as, path));
  }
  const fs::path folder = fs::absolute(path, error).parent_path();
  if (path.empty() || access(folder.c_str(), W_OK | X_OK) != 0) {
    throw Error(ErrorCategory::kIo,
                fmt::format("{} {}: its folder does not exist or cannot be written to", asked_as, path));
  }
}

void check_not_there(const std::string& path, const std::string& asked_as, bool force) {
  std::error_code error;
  if (force || !fs::exists(path, error)) return;
  throw Error(ErrorCategory::kInvalidArgument,
              fmt::format("{} {} exists; --force replaces it, or choose another name", asked_as, path));
}

void check_target(const std::string& path, FileKind kind, const std::string& asked_as, bool replace_others) {
  check_writable(path, asked_as);
  std::error_code error;
  const fs::file_status there = fs::status(path, error);
  // Nothing is lost with an empty file.
  if (!fs::exists(there) || replace_others || fs::file_size(path, error) == 0) return;
  const bool same_kind = kind == FileKind::kProfile ? is_profile(path) : is_saved_session(path);
  if (same_kind) return;
  throw Error(ErrorCategory::kInvalidArgument,
              fmt::format("{} {}: the file that is there is no {}; choose another name, or --force", asked_as, path,
                          kind == FileKind::kProfile ? "profile" : "saved conversation"));
}

}  // namespace tca::cli
