// What this machine can do at most, measured: the yardstick of the counters.
#pragma once

#include "tca/thread_pool.h"

namespace tca::bench {

/// Products of bf16 by all threads of a pool and the widest unit there is (AMX tiles, AVX-512 dot products, else fp32
/// multiply-adds), operands in registers, in GFLOP/s.
double measure_bf16_gflops(ThreadPool& pool);
/// The same of fp32 multiply-adds.
double measure_fp32_gflops(ThreadPool& pool);
/// Bytes that all threads of a pool together read a second from memory far larger than the caches, in GB/s.
double measure_read_gbytes(ThreadPool& pool);

}  // namespace tca::bench
