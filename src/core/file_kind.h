// What a file is that should hold something else: the causes behind files that cannot be read.
#pragma once

#include <string>
#include <string_view>

namespace tca {

/// From the content's beginning (64 bytes are enough): "a Git LFS pointer, not ...; run ...", to stand after "is ".
/// Empty when it looks like none of the known mistakes.
std::string describe_foreign_content(std::string_view content);

}  // namespace tca
