// Where models and example texts are: next to the program or where the environment says. No path is compiled in.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace tca::cli {

inline constexpr char kDefaultModel[] = "lookback-28m";
inline constexpr char kDefaultText[] = "michael-armstrong.txt";

/// Folders that may hold `kind` ("models" or "data"), in the order they are looked through: the environment's, the
/// installed program's, the source tree's (program in build/<preset>/).
std::vector<std::string> search_folders(const std::string& kind, const char* environment_value,
                                        const std::string& program_dir);

/// The folder of the Hugging Face Hub's cache: $HF_HUB_CACHE, $HF_HOME/hub, or ~/.cache/huggingface/hub. environment
/// is getenv.
std::string hub_cache(const std::function<const char*(const char*)>& environment);

/// A directory, a GGUF file, the name of either in one of the folders ($TCA_MODELS first), or what the Hub calls a
/// model
/// ("organisation/name") that the Hub's cache has: the snapshot that refs/main names. Nothing is downloaded. Throws kIo
/// saying where it looked.
std::string locate_model(const std::string& asked);
/// A file, or the name of a text in one of the folders ($TCA_DATA first). Throws kIo saying where it looked.
std::string locate_text(const std::string& name_or_file);

/// The profile that is taken where none is named: profile.json in a model's directory, NAME.profile.json beside
/// NAME.gguf. It need not be there.
std::string usual_profile(const std::string& model);

/// What people call a model: the name of its directory or file, or the Hub's for a snapshot in its cache.
std::string model_name(const std::string& model);

}  // namespace tca::cli
