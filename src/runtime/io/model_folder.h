// Folders of models: what one is that should be a checkpoint and is not, and where downloads lie.
#pragma once

#include <string>
#include <vector>

namespace tca::runtime {

enum class ModelPart { kConfig, kWeights, kTokenizer };

/// Throws kIo for a folder that lacks a part, saying what the folder (or file) is instead and what to do.
[[noreturn]] void fail_without(const std::string& dir, ModelPart part);

/// Snapshots in the top folder of a model in a Hugging Face cache ("models--org--name"): the one that refs/main names
/// first, the others by name. None when it is no such folder.
std::vector<std::string> hub_snapshots(const std::string& top);

}  // namespace tca::runtime
