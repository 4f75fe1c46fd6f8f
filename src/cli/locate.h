// Where models and example texts are: next to the program or where the environment says. No path is compiled in.
#pragma once

#include <string>
#include <vector>

namespace tca::cli {

inline constexpr char kDefaultModel[] = "lookback-28m";
inline constexpr char kDefaultText[] = "michael-armstrong.txt";

/// Folders that may hold `kind` ("models" or "data"), in the order they are looked through: the environment's, the
/// installed program's, the source tree's (program in build/<preset>/).
std::vector<std::string> search_folders(const std::string& kind, const char* environment_value,
                                        const std::string& program_dir);

/// A directory, or the name of a model in one of the folders ($TCA_MODELS first). Throws kIo saying where it looked.
std::string locate_model(const std::string& name_or_dir);
/// A file, or the name of a text in one of the folders ($TCA_DATA first). Throws kIo saying where it looked.
std::string locate_text(const std::string& name_or_file);

}  // namespace tca::cli
