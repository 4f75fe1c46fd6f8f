// Speed of the CPU backend's operations at the shape of a layer: 8 query heads on 4 KV heads, bf16.
//   tca_bench_kernels [--benchmark_filter=prefill.*d64] ...
// TCA_CPU_TARGET picks the instruction-set path, TCA_BENCH_THREADS the threads. Counters: GFLOP/s counts the
// query-key pairs that must be computed, 4 head_dim flops each; of_bf16_peak is their share of what the threads' widest
// unit for bf16 products does, measured at the start; GB/s counts the K and V held; of_read_peak likewise.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "cpu/cpu_backend.h"
#include "peak.h"
#include "problem.h"

namespace tca::bench {
namespace {

constexpr std::int32_t kWindow = 256;
constexpr double kShare = 0.2;

struct Machine {
  Machine() : pool(std::getenv("TCA_BENCH_THREADS") ? std::atoi(std::getenv("TCA_BENCH_THREADS")) : 0) {
    backend = create_cpu_backend(pool);
    bf16_gflops = measure_bf16_gflops(pool);
    read_gbytes = measure_read_gbytes(pool);
  }
  ThreadPool pool;
  std::unique_ptr<Backend> backend;
  double bf16_gflops = 0, read_gbytes = 0;
};

Machine& machine() {
  static Machine machine;
  return machine;
}

Shape shape_of(const benchmark::State& state) {
  return {.tokens = state.range(0), .head_dim = static_cast<std::int32_t>(state.range(1))};
}

double per_iteration(benchmark::State& state, double amount) {
  return amount * static_cast<double>(state.iterations());
}

void count_flops(benchmark::State& state, double flops) {
  const double total = per_iteration(state, flops);
  state.counters["GFLOP/s"] = benchmark::Counter(total * 1e-9, benchmark::Counter::kIsRate);
  state.counters["of_bf16_peak"] =
      benchmark::Counter(total * 1e-9 / machine().bf16_gflops, benchmark::Counter::kIsRate);
}

void count_bytes(benchmark::State& state, double bytes) {
  const double total = per_iteration(state, bytes);
  state.counters["GB/s"] = benchmark::Counter(total * 1e-9, benchmark::Counter::kIsRate);
  state.counters["of_read_peak"] =
      benchmark::Counter(total * 1e-9 / machine().read_gbytes, benchmark::Counter::kIsRate);
}

/// Query-key pairs per query head and token, summed over the KV heads' groups.
double visible_pairs(const Shape& shape, const KeptSet* kept) {
  double pairs = 0;
  for (std::int32_t h = 0; h < shape.num_kv_heads; ++h) {
    std::int64_t before_window = 0;
    std::size_t next = 0;
    for (std::int64_t i = 0; i < shape.tokens; ++i) {
      if (kept == nullptr) {
        pairs += static_cast<double>(i + 1);
        continue;
      }
      const auto positions = kept->head(h);
      for (; next < positions.size() && positions[next] <= i - kWindow; ++next) ++before_window;
      pairs += static_cast<double>(before_window + std::min<std::int64_t>(i + 1, kWindow));
    }
  }
  return pairs * shape.num_heads / shape.num_kv_heads;
}

void run_prefill(benchmark::State& state, bool sparse) {
  Problem problem(shape_of(state));
  const Shape& shape = problem.shape();
  const KeptSet kept = sparse ? ragged_kept(shape.tokens, shape.num_kv_heads, kShare) : KeptSet{};
  const PrefillParams params{.q = problem.q(),
                             .k = problem.k(),
                             .v = problem.v(),
                             .out = problem.out(),
                             .past = {},
                             .kept = sparse ? &kept : nullptr,
                             .window = kWindow,
                             .lse = {}};
  for (auto _ : state) machine().backend->prefill_attention({&params, 1});
  count_flops(state, visible_pairs(shape, params.kept) * 4 * shape.head_dim);
}

void prefill_dense(benchmark::State& state) { run_prefill(state, false); }
void prefill_sparse(benchmark::State& state) { run_prefill(state, true); }

void select(benchmark::State& state) {
  Problem problem(shape_of(state));
  const Shape& shape = problem.shape();
  const SelectionRule rule;
  const std::vector<BlockShares> shares = ragged_shares(shape.num_kv_heads, kShare, rule.block_size);
  const SelectParams params{.q = problem.q().tokens(shape.tokens - rule.probe_queries, rule.probe_queries),
                            .k = problem.k(),
                            .past = {},
                            .shares = shares,
                            .rule = rule};
  for (auto _ : state) benchmark::DoNotOptimize(machine().backend->select(params));
}

/// Steps over as many caches as it takes to leave the last-level cache, as the layers of a model do.
void run_decode(benchmark::State& state, double share) {
  Problem problem(shape_of(state));
  const Shape& shape = problem.shape();
  const std::int64_t batch = state.range(2);
  constexpr std::size_t kBeyondCaches = std::size_t{256} << 20;
  std::vector<KvCache> caches;
  std::size_t bytes = 0, held = 0;
  while (bytes < kBeyondCaches || caches.size() < static_cast<std::size_t>(batch)) {
    caches.push_back(make_cache(problem, share, kWindow));
    bytes += caches.back().bytes_used();
  }
  for (std::int32_t h = 0; h < shape.num_kv_heads; ++h) held += static_cast<std::size_t>(caches[0].length(0, h));
  const TensorView q = problem.q().tokens(shape.tokens - 1, 1);
  std::size_t next = 0;
  for (auto _ : state) {
    std::vector<DecodeParams> params;
    for (std::int64_t b = 0; b < batch; ++b, ++next) {
      params.push_back({.q = q, .out = problem.out().tokens(b, 1), .cache = &caches[next % caches.size()], .lse = {}});
    }
    machine().backend->decode_attention(params);
  }
  const auto row_bytes = static_cast<double>(2 * shape.head_dim * static_cast<std::int64_t>(dtype_size(shape.dtype)));
  count_bytes(state, static_cast<double>(held) * row_bytes * static_cast<double>(batch));
}

void decode_dense(benchmark::State& state) { run_decode(state, 1.0); }
void decode_sparse(benchmark::State& state) { run_decode(state, kShare); }

void prompt_lengths(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"L", "d"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const std::int64_t head_dim : {64, 128}) {
    for (std::int64_t tokens = 1024; tokens <= 131072; tokens *= 2) bench->Args({tokens, head_dim});
  }
}

void decode_lengths(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"L", "d", "batch"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const std::int64_t head_dim : {64, 128}) {
    for (const std::int64_t tokens : {1024, 8192, 32768, 131072}) bench->Args({tokens, head_dim, 1});
    bench->Args({8192, head_dim, 8});
  }
}

BENCHMARK(prefill_dense)->Apply(prompt_lengths);
BENCHMARK(prefill_sparse)->Apply(prompt_lengths);
BENCHMARK(select)->Apply(prompt_lengths);
BENCHMARK(decode_dense)->Apply(decode_lengths);
BENCHMARK(decode_sparse)->Apply(decode_lengths);

}  // namespace
}  // namespace tca::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  using tca::bench::machine;
  const std::string isa = machine().backend->capabilities().isa;
  benchmark::AddCustomContext("cpu_target", isa);
  benchmark::AddCustomContext("threads", std::to_string(machine().pool.num_threads()));
  benchmark::AddCustomContext("bf16_peak_gflops", std::to_string(machine().bf16_gflops));
  benchmark::AddCustomContext("read_peak_gbytes", std::to_string(machine().read_gbytes));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
