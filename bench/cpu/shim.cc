// The cpu backend behind C functions, so that a Python script can time it beside its rivals: one layer in bf16, tensors
// [L, heads, d] without gaps. Functions return what they say, or a negative number after printing why.
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "kernels/peak.h"
#include "kernels/problem.h"

#define TCA_CPU_SHIM extern "C" __attribute__((visibility("default")))

/// Mirrored field by field in bench/cpu/attention.py.
struct TcaLayer {
  const void *q, *k, *v;
  void* out;
  std::int64_t num_tokens;
  std::int32_t num_heads, num_kv_heads, head_dim;
};

struct TcaBench {
  explicit TcaBench(int threads) : pool(threads), backend(tca::create_cpu_backend(pool)) {}
  tca::ThreadPool pool;
  std::unique_ptr<tca::Backend> backend;
  tca::KeptSet kept;
  std::vector<tca::KvCache> caches;
};

namespace {

using namespace tca;

TensorView view(const void* data, const TcaLayer& layer, std::int32_t heads) {
  return contiguous(data, DType::kBF16, layer.num_tokens, heads, layer.head_dim);
}
TensorView queries(const TcaLayer& layer) { return view(layer.q, layer, layer.num_heads); }
TensorView keys(const TcaLayer& layer) { return view(layer.k, layer, layer.num_kv_heads); }
TensorView values(const TcaLayer& layer) { return view(layer.v, layer, layer.num_kv_heads); }
MutableTensorView output(const TcaLayer& layer) {
  return contiguous(layer.out, DType::kBF16, layer.num_tokens, layer.num_heads, layer.head_dim);
}

template <class Call>
double guarded(const Call& call) {
  try {
    return call();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tca_cpu_shim: %s\n", error.what());
    return -1;
  }
}

void prefill(const TcaBench& bench, const TcaLayer& layer, const KeptSet* kept) {
  const SelectionRule rule;
  const PrefillParams params{.q = queries(layer),
                             .k = keys(layer),
                             .v = values(layer),
                             .out = output(layer),
                             .past = {},
                             .kept = kept,
                             .window = rule.window,
                             .sinks = rule.sinks,
                             .lse = {}};
  bench.backend->prefill_attention({&params, 1});
}

}  // namespace

TCA_CPU_SHIM TcaBench* tca_cpu_create(int threads) {
  try {
    return new TcaBench(threads);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tca_cpu_shim: %s\n", error.what());
    return nullptr;
  }
}
TCA_CPU_SHIM void tca_cpu_destroy(TcaBench* bench) { delete bench; }

/// The instruction-set path, into `size` bytes.
TCA_CPU_SHIM void tca_cpu_target(const TcaBench* bench, char* out, std::size_t size) {
  std::snprintf(out, size, "%s", bench->backend->capabilities().isa.c_str());
}
/// GFLOP/s and GB/s; see bench/kernels/peak.h.
TCA_CPU_SHIM double tca_cpu_bf16_peak(TcaBench* bench) {
  return guarded([&] { return tca::bench::measure_bf16_gflops(bench->pool); });
}
TCA_CPU_SHIM double tca_cpu_read_peak(TcaBench* bench) {
  return guarded([&] { return tca::bench::measure_read_gbytes(bench->pool); });
}

TCA_CPU_SHIM double tca_cpu_dense(TcaBench* bench, const TcaLayer* layer) {
  return guarded([&] {
    prefill(*bench, *layer, nullptr);
    return 0.0;
  });
}

/// Chooses tokens for budgets as ragged as those calibration finds; returns the tokens kept over all heads.
TCA_CPU_SHIM double tca_cpu_select(TcaBench* bench, const TcaLayer* layer, double mean_share) {
  return guarded([&] {
    const SelectionRule rule;
    const std::vector<BlockShares> shares = tca::bench::ragged_shares(layer->num_kv_heads, mean_share, rule.block_size);
    const std::int64_t probes = std::min<std::int64_t>(layer->num_tokens, rule.probe_queries);
    bench->kept = bench->backend->select({.q = queries(*layer).tokens(layer->num_tokens - probes, probes),
                                          .k = keys(*layer),
                                          .past = {},
                                          .shares = shares,
                                          .rule = rule});
    return static_cast<double>(bench->kept.positions().size());
  });
}
/// Over what was chosen last.
TCA_CPU_SHIM double tca_cpu_sparse(TcaBench* bench, const TcaLayer* layer) {
  return guarded([&] {
    prefill(*bench, *layer, &bench->kept);
    return 0.0;
  });
}
/// Query-key pairs that the last choice computes, over all query heads.
TCA_CPU_SHIM double tca_cpu_sparse_pairs(const TcaBench* bench, const TcaLayer* layer) {
  const SelectionRule rule;
  double pairs = 0;
  for (std::int32_t h = 0; h < layer->num_kv_heads; ++h) {
    const auto positions = bench->kept.head(h);
    std::size_t before_window = 0;
    for (std::int64_t i = 0; i < layer->num_tokens; ++i) {
      while (before_window < positions.size() && positions[before_window] <= i - rule.window) ++before_window;
      pairs += static_cast<double>(before_window) + static_cast<double>(std::min<std::int64_t>(i + 1, rule.window));
    }
  }
  return pairs * layer->num_heads / layer->num_kv_heads;
}

/// Makes `count` caches of the layer's K and V (mean_share 1: everything), for decoding in turn; returns the bytes one
/// holds.
TCA_CPU_SHIM double tca_cpu_fill_caches(TcaBench* bench, const TcaLayer* layer, double mean_share, int count) {
  return guarded([&] {
    bench->caches.clear();
    const SelectionRule rule;
    const auto pool = bench->backend->create_kv_pool(std::size_t{16} << 30, layer->head_dim, DType::kBF16);
    const KvShape shape{
        .num_layers = 1, .num_kv_heads = layer->num_kv_heads, .head_dim = layer->head_dim, .dtype = DType::kBF16};
    const KeptSet kept = tca::bench::ragged_kept(layer->num_tokens, layer->num_kv_heads, mean_share);
    double held = 0;
    for (int i = 0; i < count; ++i) {
      KvCache& cache = bench->caches.emplace_back(pool, shape);
      if (mean_share >= 1) {
        cache.store(0, keys(*layer), values(*layer));
      } else {
        cache.store(0, keys(*layer), values(*layer), &kept, rule.window);
      }
    }
    for (std::int32_t h = 0; h < layer->num_kv_heads; ++h) {
      held += static_cast<double>(bench->caches[0].length(0, h)) * layer->head_dim * 2 * sizeof(std::uint16_t);
    }
    return held;
  });
}
/// The layer's last query over the cache of that number; out is one row.
TCA_CPU_SHIM double tca_cpu_decode(TcaBench* bench, const TcaLayer* layer, int cache) {
  return guarded([&] {
    const DecodeParams params{.q = queries(*layer).tokens(layer->num_tokens - 1, 1),
                              .out = output(*layer).tokens(0, 1),
                              .cache = &bench->caches.at(static_cast<std::size_t>(cache)),
                              .lse = {}};
    bench->backend->decode_attention({&params, 1});
    return 0.0;
  });
}
