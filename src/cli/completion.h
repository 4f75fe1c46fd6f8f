// Shell completion, written from the reference: a script a shell.
#pragma once

#include <string>

#include "cli/reference.h"

namespace tca::cli {

std::string bash_completion(const ProgramReference& program);
std::string zsh_completion(const ProgramReference& program);
std::string fish_completion(const ProgramReference& program);

}  // namespace tca::cli
