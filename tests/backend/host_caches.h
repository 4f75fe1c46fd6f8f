// Caches in host memory for backends that read another kind of page.
#pragma once

#include <memory>

#include "tca/backend.h"

namespace tca::backend_test {

/// The backend itself when it reads pages in host memory. Otherwise one that copies every cache it is given into a pool
/// of the backend's own, so that one cache serves the oracle and everybody else.
std::unique_ptr<Backend> with_host_caches(std::unique_ptr<Backend> backend);

}  // namespace tca::backend_test
