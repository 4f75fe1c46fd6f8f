// What this machine can do at most, measured: the yardstick of the counters.
#pragma once

#include "tca/thread_pool.h"

namespace tca::bench {

/// fp32 multiply-adds of one thread with the widest vectors Highway finds, in GFLOP/s.
double measure_fma_gflops();
/// Bytes that all threads of a pool together read a second from memory far larger than the caches, in GB/s.
double measure_read_gbytes(ThreadPool& pool);

}  // namespace tca::bench
