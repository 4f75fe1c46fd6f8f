#include "cli/locate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "tca/error.h"

namespace tca::cli {

namespace fs = std::filesystem;

namespace {

std::string program_dir() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? std::string(".") : program.parent_path().string();
}

std::string locate(const std::string& asked, const std::string& kind, const char* variable, bool directory) {
  const auto is_there = [&](const fs::path& path) {
    std::error_code error;
    return directory ? fs::is_directory(path, error) : fs::exists(path, error) && !fs::is_directory(path, error);
  };
  if (is_there(asked)) return asked;
  // Something with a slash is a path and nothing else.
  std::vector<std::string> looked;
  if (!asked.empty() && asked.find('/') == std::string::npos) {
    for (const std::string& folder : search_folders(kind, std::getenv(variable), program_dir())) {
      const fs::path candidate = fs::path(folder) / asked;
      if (is_there(candidate)) return candidate.string();
      looked.push_back(folder);
    }
  }
  const std::string where = looked.empty() ? "" : fmt::format("; also looked in {}", fmt::join(looked, ", "));
  throw Error(
      ErrorCategory::kIo,
      directory ? fmt::format("model '{}': no such directory{} (give its directory, or set {})", asked, where, variable)
                : fmt::format("text '{}': no such file{} (give its path, or set {})", asked, where, variable));
}

}  // namespace

std::vector<std::string> search_folders(const std::string& kind, const char* environment_value,
                                        const std::string& program_dir) {
  std::vector<std::string> folders;
  if (environment_value != nullptr && *environment_value != '\0') folders.emplace_back(environment_value);
  const fs::path program(program_dir);
  folders.push_back((program / ".." / "share" / "tca" / kind).lexically_normal().string());
  const fs::path tree = kind == "data" ? fs::path("examples") / kind : fs::path(kind);
  folders.push_back((program / ".." / ".." / tree).lexically_normal().string());
  return folders;
}

std::string locate_model(const std::string& name_or_dir) {
  return locate(name_or_dir, "models", "TCA_MODELS", /*directory=*/true);
}

std::string locate_text(const std::string& name_or_file) {
  return locate(name_or_file, "data", "TCA_DATA", /*directory=*/false);
}

}  // namespace tca::cli
