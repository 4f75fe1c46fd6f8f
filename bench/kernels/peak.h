// What this machine can do at most, measured: the yardstick of the counters.
#pragma once

namespace tca::bench {

/// fp32 multiply-adds of one thread with the widest vectors Highway finds, in GFLOP/s.
double measure_fma_gflops();
/// Bytes one thread reads from memory far larger than the caches, in GB/s.
double measure_read_gbytes();

}  // namespace tca::bench
