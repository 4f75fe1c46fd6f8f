// From which length on selection and sparse prefill together are no slower than dense prefill, for every
// instruction-set path of this machine: the table behind src/cpu/break_even.cc.
//   tca_bench_break_even [TARGET...]
// 8 query heads on 4 KV heads, bf16, all threads; the two take turns, and the ratio of the medians counts.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "problem.h"
#include "tca/error.h"

namespace tca::bench {
namespace {

constexpr double kShares[] = {0.1, 0.2, 0.4, 0.6, 0.8};
constexpr std::int64_t kLengths[] = {256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192};

template <class Run>
double seconds(const Run& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

/// Ragged as far as the pattern reaches, then the same for every head.
std::vector<BlockShares> shares_of(std::int32_t num_kv_heads, double share, std::int32_t block_size) {
  constexpr double kMostRagged = 0.4;
  if (share <= kMostRagged) return ragged_shares(num_kv_heads, share, block_size);
  BlockShares even = BlockShares::window(block_size);
  even.share.back() = share;
  even.share.front() = 1 - share;
  return std::vector<BlockShares>(static_cast<std::size_t>(num_kv_heads), even);
}

/// Time of selection and sparse prefill over that of dense prefill.
double ratio(const Backend& backend, std::int64_t tokens, std::int32_t head_dim, double share) {
  Problem problem({.tokens = tokens, .head_dim = head_dim});
  const SelectionRule rule;
  const std::vector<BlockShares> shares = shares_of(problem.shape().num_kv_heads, share, rule.block_size);
  const std::int64_t probes = std::min<std::int64_t>(tokens, rule.probe_queries);
  PrefillParams params{
      .q = problem.q(), .k = problem.k(), .v = problem.v(), .out = problem.out(), .past = {}, .lse = {}};
  const auto dense = [&] { backend.prefill_attention({&params, 1}); };
  const auto sparse = [&] {
    const KeptSet kept = backend.select({.q = problem.q().tokens(tokens - probes, probes),
                                         .k = problem.k(),
                                         .past = {},
                                         .shares = shares,
                                         .rule = rule});
    PrefillParams with_kept = params;
    with_kept.kept = &kept;
    with_kept.window = rule.window;
    with_kept.sinks = rule.sinks;
    backend.prefill_attention({&with_kept, 1});
  };
  dense();
  sparse();
  constexpr double kEnough = 0.4;  // seconds
  constexpr std::size_t kLeastRuns = 5;
  std::vector<double> of_dense, of_sparse;
  for (double total = 0; total < kEnough || of_dense.size() < kLeastRuns;) {
    of_dense.push_back(seconds(dense));
    of_sparse.push_back(seconds(sparse));
    total += of_dense.back() + of_sparse.back();
  }
  return median(of_sparse) / median(of_dense);
}

void print_table(const std::string& target, ThreadPool& pool) {
  const auto backend = create_cpu_backend_for_target(pool, target);
  for (const std::int32_t head_dim : {64, 128}) {
    std::printf("%s, head_dim %d: select + sparse over dense\n%8s", target.c_str(), head_dim, "tokens");
    for (const double share : kShares) std::printf("%8.1f", share);
    std::vector<std::int64_t> from(std::size(kShares), 0);
    for (const std::int64_t tokens : kLengths) {
      std::printf("\n%8lld", static_cast<long long>(tokens));
      for (std::size_t s = 0; s < std::size(kShares); ++s) {
        const double r = ratio(*backend, tokens, head_dim, kShares[s]);
        std::printf("%8.2f", r);
        std::fflush(stdout);
        if (r > 1) from[s] = 0;
        if (r <= 1 && from[s] == 0) from[s] = tokens;
      }
    }
    std::printf("\n%8s", "from");
    for (const std::int64_t tokens : from) {
      if (tokens == 0) {
        std::printf("%8s", "-");
      } else {
        std::printf("%8lld", static_cast<long long>(tokens));
      }
    }
    std::printf("\n");
  }
}

}  // namespace
}  // namespace tca::bench

int main(int argc, char** argv) {
  tca::ThreadPool pool;
  std::vector<std::string> targets(argv + 1, argv + argc);
  if (targets.empty()) targets = tca::cpu_targets();
  try {
    for (const std::string& target : targets) tca::bench::print_table(target, pool);
  } catch (const tca::Error& error) {
    std::fprintf(stderr, "tca_bench_break_even: %s\n", error.what());
    return 1;
  }
}
