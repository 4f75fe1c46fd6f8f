// The CPU backend: Highway kernels dispatched at run time, and paths of their own for units Highway does not know.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tca/backend.h"
#include "tca/thread_pool.h"

namespace tca {

/// Names of the instruction-set paths that this machine can run, best first.
std::vector<std::string> cpu_targets();

/// Uses the environment variable TCA_CPU_TARGET when it is set and not empty, else the first of cpu_targets(). Throws
/// kUnsupported listing the usable targets when the variable names none of them. The pool must outlive the backend.
std::unique_ptr<Backend> create_cpu_backend(ThreadPool& pool);
std::unique_ptr<Backend> create_cpu_backend_for_target(ThreadPool& pool, const std::string& target);

}  // namespace tca
