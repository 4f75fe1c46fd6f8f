// Memory of this process, as the system counts it.
#pragma once

#include <cstdint>

namespace tca::cli {

/// Most bytes of physical memory this process has held (VmHWM), mapped weights included. 0 where the system does not
/// say.
std::uint64_t peak_memory_bytes();
/// Begins a new peak at what is held now, so that runs in one process can be told apart. Does nothing where the system
/// does not allow it.
void reset_peak_memory();

}  // namespace tca::cli
