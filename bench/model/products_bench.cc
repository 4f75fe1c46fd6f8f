// Speed of the forward pass's matrix products on the CPU at the shapes of an 8B model's layer and of lookback-28m's:
// activations of bf16 and of fp32, weights of bf16; and int8 weights with the activations that --compute auto takes.
//   tca_bench_products [--benchmark_filter=products_int8/rows:1/] ...
// TCA_BENCH_THREADS sets the threads. Counters: GB/s counts the bytes of the weights once; of_read_peak is their share
// of what all threads together read from memory, GFLOP/s counts 2 in out a row, of_fp32_peak is their share of a loop
// of multiply-adds in registers on all threads. The peaks are measured beside each benchmark, since neighbours share
// the machine.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/half.h"
#include "peak.h"
#include "runtime/model/int8.h"
#include "runtime/model/linear.h"
#include "runtime/model/precision.h"

namespace tca::bench {
namespace {

using runtime::choose_precision;
using runtime::Linear;
namespace int8 = runtime::int8;

struct Machine {
  Machine() : pool(std::getenv("TCA_BENCH_THREADS") ? std::atoi(std::getenv("TCA_BENCH_THREADS")) : 0) {}
  ThreadPool pool;
};

Machine& machine() {
  static Machine machine;
  return machine;
}

/// bf16 numbers of about 1/128.
std::vector<std::uint16_t> random_bf16(std::int64_t n) {
  std::mt19937 random(1);
  std::vector<std::uint16_t> values(static_cast<std::size_t>(n));
  for (std::uint16_t& value : values) value = static_cast<std::uint16_t>(0x3c00 | (random() & 0x807f));
  return values;
}

/// As many equal matrices as it takes to leave the last-level cache, as the layers of a model do.
struct Matrices {
  Matrices(std::int64_t in, std::int64_t out, bool quantised) {
    constexpr std::size_t kBeyondCaches = std::size_t{512} << 20;
    const std::vector<std::uint16_t> stored = random_bf16(in * out);
    Linear linear{.in = in, .out = out};
    std::vector<std::byte> weight(quantised ? static_cast<std::size_t>(in * int8::padded(out)) : stored.size() * 2);
    if (quantised) {
      linear.scales.resize(static_cast<std::size_t>(int8::padded(out)));
      for (std::int64_t c = 0; c < out; c += int8::kChannels) {
        int8::quantise_group(stored.data() + c * in, DType::kBF16, std::min(int8::kChannels, out - c), in,
                             reinterpret_cast<std::int8_t*>(weight.data()) + c * in, linear.scales.data() + c);
      }
    } else {
      std::memcpy(weight.data(), stored.data(), weight.size());
    }
    bytes = weight.size();
    for (std::size_t all = 0; all < kBeyondCaches; all += bytes) weights.push_back(weight);
    for (const auto& copy : weights) {
      linears.push_back(linear);
      linears.back().weight = copy.data();
    }
  }
  std::size_t bytes = 0;
  std::vector<std::vector<std::byte>> weights;
  std::vector<Linear> linears;
};

void run_products(benchmark::State& state, DType activations, bool quantised) {
  const std::int64_t rows = state.range(0), in = state.range(1), out = state.range(2);
  const Matrices matrices(in, out, quantised);
  const std::vector<std::uint16_t> values = random_bf16(rows * in);
  std::vector<std::byte> x(values.size() * dtype_size(activations));
  std::vector<float> wide(values.size());
  convert_row(values.data(), DType::kBF16, wide.data(), rows * in);
  convert_row(wide.data(), x.data(), activations, rows * in);
  std::vector<std::byte> y(static_cast<std::size_t>(rows * out) * dtype_size(activations));
  runtime::MatrixProducts products;
  double read_gbytes = measure_read_gbytes(machine().pool), fp32_gflops = measure_fp32_gflops(machine().pool);
  std::size_t next = 0;
  for (auto _ : state) {
    const runtime::Product product{.linear = &matrices.linears[next++ % matrices.linears.size()],
                                   .x = x.data(),
                                   .x_dtype = activations,
                                   .out = y.data(),
                                   .out_dtype = activations};
    products.run(rows, std::array{product}, machine().pool);
  }
  read_gbytes = std::max(read_gbytes, measure_read_gbytes(machine().pool));
  fp32_gflops = std::max(fp32_gflops, measure_fp32_gflops(machine().pool));
  const auto count = [&](const char* name, double amount) {
    state.counters[name] =
        benchmark::Counter(amount * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  };
  count("GB/s", static_cast<double>(matrices.bytes) * 1e-9);
  count("of_read_peak", static_cast<double>(matrices.bytes) * 1e-9 / read_gbytes);
  const double gflop = 2e-9 * static_cast<double>(rows * in * out);
  count("GFLOP/s", gflop);
  count("of_fp32_peak", gflop / fp32_gflops);
}

void products_bf16(benchmark::State& state) { run_products(state, DType::kBF16, false); }
void products_fp32(benchmark::State& state) { run_products(state, DType::kF32, false); }
void products_int8(benchmark::State& state) {
  run_products(state, choose_precision(runtime::ComputeType::kAuto, runtime::has_bf16_products()).activations, true);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "in", "out"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const std::int64_t rows : {1, 8, 64, 256, 1024, 8192}) {
    for (const auto& [in, out] : {std::pair{4096, 4096}, {4096, 14336}, {14336, 4096}, {512, 1408}, {1408, 512}}) {
      bench->Args({rows, in, out});
    }
  }
}

BENCHMARK(products_bf16)->Apply(shapes);
BENCHMARK(products_fp32)->Apply(shapes);
BENCHMARK(products_int8)->Apply(shapes);

}  // namespace
}  // namespace tca::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  using tca::bench::machine;
  benchmark::AddCustomContext("threads", std::to_string(machine().pool.num_threads()));
  using namespace tca::runtime;
  benchmark::AddCustomContext("blocks_bf16", block_products_name(tca::DType::kBF16));
  benchmark::AddCustomContext("blocks_fp32", block_products_name(tca::DType::kF32));
  benchmark::AddCustomContext("rows", row_products_name());
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
