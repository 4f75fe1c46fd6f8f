#include "cli/locate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "core/file.h"
#include "runtime/gguf/gguf_file.h"
#include "runtime/io/model_folder.h"
#include "tca/error.h"

namespace tca::cli {

namespace fs = std::filesystem;

namespace {

std::string program_dir() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? std::string(".") : program.parent_path().string();
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool is_file(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error) && !fs::is_directory(path, error);
}

bool is_model(const std::string& path) { return is_folder(path) || runtime::is_gguf_file(path); }

// The asked path itself, or a name in one of the folders of `kind`, which are listed in `looked`. Something with a
// slash is a path and nothing else.
std::string find(const std::string& asked, const std::string& kind, const char* variable,
                 bool (*is_there)(const std::string&), std::vector<std::string>& looked) {
  if (is_there(asked)) return asked;
  if (asked.empty() || asked.find('/') != std::string::npos) return "";
  for (const std::string& folder : search_folders(kind, std::getenv(variable), program_dir())) {
    const std::string candidate = (fs::path(folder) / asked).string();
    if (is_there(candidate)) return candidate;
    looked.push_back(folder);
  }
  return "";
}

std::string also_looked_in(const std::vector<std::string>& looked) {
  return looked.empty() ? "" : fmt::format("; also looked in {}", fmt::join(looked, ", "));
}

// "name" or "organisation/name", as models are called on the Hugging Face Hub.
bool is_hub_name(const std::string& name) {
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '/';
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), is_fine) && name.front() != '.' &&
         name.front() != '/' && name.back() != '/' && std::count(name.begin(), name.end(), '/') <= 1;
}

// Where the Hub's tools keep the snapshots of a model: "models--organisation--name" in their cache.
std::string hub_folder(const std::string& name) {
  std::string folder = "models--" + name;
  if (const auto slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, "--");
  return (fs::path(hub_cache([](const char* variable) { return std::getenv(variable); })) / folder).string();
}

std::string find_snapshot(const std::string& name, const std::string& folder) {
  const std::vector<std::string> snapshots = runtime::hub_snapshots(folder);
  if (snapshots.size() == 1 || (snapshots.size() > 1 && has_entry(folder + "/refs/main"))) return snapshots.front();
  if (snapshots.empty()) return "";
  throw Error(ErrorCategory::kIo, fmt::format("model '{}': {} has several snapshots and no refs/main: give the folder "
                                              "of one: {}",
                                              name, folder, fmt::join(snapshots, ", ")));
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

std::string hub_cache(const std::function<const char*(const char*)>& environment) {
  const auto value = [&](const char* name) -> std::string {
    const char* const found = environment(name);
    return found == nullptr ? "" : found;
  };
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (!value(name).empty()) return value(name);
  }
  if (!value("HF_HOME").empty()) return (fs::path(value("HF_HOME")) / "hub").string();
  const fs::path own = value("XDG_CACHE_HOME");
  const fs::path caches = own.empty() ? fs::path(value("HOME")) / ".cache" : own;
  return (caches / "huggingface" / "hub").string();
}

std::string locate_model(const std::string& asked) {
  std::vector<std::string> looked;
  const std::string found = find(asked, "models", "TCA_MODELS", is_model, looked);
  if (!found.empty()) return found;
  if (is_file(asked)) runtime::fail_without(asked, runtime::ModelPart::kConfig);
  std::string hub;
  if (is_hub_name(asked)) {
    const std::string folder = hub_folder(asked);
    const std::string snapshot = find_snapshot(asked, folder);
    if (!snapshot.empty()) return snapshot;
    hub = fmt::format("; nothing is downloaded: what `hf download {}` fetches would lie in {}", asked, folder);
  }
  throw Error(ErrorCategory::kIo,
              fmt::format("model '{}': no such directory{}{} (give its directory or GGUF file, or set TCA_MODELS)",
                          asked, also_looked_in(looked), hub));
}

std::string locate_text(const std::string& name_or_file) {
  std::vector<std::string> looked;
  const std::string found = find(name_or_file, "data", "TCA_DATA", is_file, looked);
  if (!found.empty()) return found;
  throw Error(ErrorCategory::kIo, fmt::format("text '{}': no such file{} (give its path, or set TCA_DATA)",
                                              name_or_file, also_looked_in(looked)));
}

std::string usual_profile(const std::string& model) {
  const fs::path path(model);
  return (is_folder(model) ? path / "profile.json" : fs::path(path).replace_extension(".profile.json")).string();
}

std::string model_name(const std::string& model) {
  const fs::path path = fs::path(model).lexically_normal();
  const fs::path folder = path.has_filename() ? path : path.parent_path();
  const std::string top = folder.parent_path().parent_path().filename().string();
  if (folder.extension() == ".gguf") return folder.stem().string();
  if (folder.parent_path().filename() != "snapshots" || !top.starts_with("models--")) return folder.filename().string();
  const std::string name = top.substr(std::string("models--").size());
  const auto dashes = name.find("--");
  return dashes == std::string::npos ? name : name.substr(0, dashes) + '/' + name.substr(dashes + 2);
}

}  // namespace tca::cli
