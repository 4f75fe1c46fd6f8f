// The manual page tca(1), in roff, written from the reference.
#pragma once

#include <string>

#include "cli/reference.h"

namespace tca::cli {

std::string man_page(const ProgramReference& program);

}  // namespace tca::cli
