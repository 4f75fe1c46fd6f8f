// One attention layer over a long prompt: choose the tokens that matter, attend to those, keep those alone in memory,
// decode one token from what was kept. Prints what was kept and how far the result is from full attention.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "tca/attention.h"
#include "tca/backend.h"
#include "tca/error.h"
#include "tca/kv_cache.h"
#include "tca/thread_pool.h"

namespace {

constexpr std::int64_t kTokens = 16384;
constexpr std::int32_t kQueryHeads = 8, kKvHeads = 2, kHeadDim = 64;

// q [L, Hq, d], k and v [L, Hk, d] after RoPE; shares: one per KV head, usually from a profile.
tca::KeptSet read_prompt(const tca::Backend& backend, const tca::TensorView& q, const tca::TensorView& k,
                         const tca::TensorView& v, const std::vector<tca::BlockShares>& shares,
                         const tca::MutableTensorView& out, tca::KvCache& cache) {
  const tca::SelectionRule rule;  // blocks of 64, a window of 256, 4 sinks, 32 probe queries
  const tca::TensorView probes = q.tokens(q.num_tokens - rule.probe_queries, rule.probe_queries);
  tca::KeptSet kept = backend.select({.q = probes, .k = k, .shares = shares, .rule = rule});

  const tca::PrefillParams prefill = {
      .q = q, .k = k, .v = v, .out = out, .kept = &kept, .window = rule.window, .sinks = rule.sinks};
  backend.prefill_attention({&prefill, 1});
  cache.store(/*layer=*/0, k, v, &kept, rule.window);  // everything else is freed with k and v
  return kept;
}

struct Tensor {
  std::int32_t num_heads;
  std::vector<float> values;  // [tokens, num_heads, kHeadDim]

  tca::MutableTensorView view() {
    const auto tokens = static_cast<std::int64_t>(values.size()) / (num_heads * kHeadDim);
    return tca::contiguous(values.data(), tca::DType::kF32, tokens, num_heads, kHeadDim);
  }
};

// Random numbers, but every query looks for one direction, and a passage in a hundred has it in its keys: real
// attention is concentrated like that.
struct Layer {
  Tensor q{kQueryHeads, {}}, k{kKvHeads, {}}, v{kKvHeads, {}};

  Layer() {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::uniform_int_distribution<int> passage(0, 99);
    for (std::int64_t token = 0, found = 0; token <= kTokens; ++token) {
      if (token % 32 == 0) found = passage(random) == 0;
      for (int i = 0; i < kQueryHeads * kHeadDim; ++i) q.values.push_back(1 + 0.2f * normal(random));
      for (int i = 0; i < kKvHeads * kHeadDim; ++i) k.values.push_back((found != 0) + 0.2f * normal(random));
      for (int i = 0; i < kKvHeads * kHeadDim; ++i) v.values.push_back(normal(random));
    }
  }
};

// ||a - b|| / ||b||
double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / norm);
}

void run() {
  tca::ThreadPool pool;  // one thread per core
  const auto backend = tca::create_backend("auto", pool);
  std::printf("backend %s (%s)\n", std::string(backend->name()).c_str(), backend->capabilities().isa.c_str());

  Layer layer;  // the prompt and one token more
  const tca::TensorView q = layer.q.view().tokens(0, kTokens), k = layer.k.view().tokens(0, kTokens),
                        v = layer.v.view().tokens(0, kTokens);
  Tensor sparse{kQueryHeads, std::vector<float>(kTokens * kQueryHeads * kHeadDim)};
  Tensor dense = sparse;

  // The richest tenth of the blocks keeps all of its 64 tokens, the next tenth keeps 8, the rest none.
  const std::vector<tca::BlockShares> shares(kKvHeads, {.share = {0.8, 0, 0, 0, 0.1, 0, 0, 0.1}});
  const auto kv_pool = tca::KvPool::create(std::size_t{64} << 20, kHeadDim, tca::DType::kF32);
  const tca::KvShape shape = {
      .num_layers = 1, .num_kv_heads = kKvHeads, .head_dim = kHeadDim, .dtype = tca::DType::kF32};
  tca::KvCache small(kv_pool, shape), full(kv_pool, shape);

  const tca::KeptSet kept = read_prompt(*backend, q, k, v, shares, sparse.view(), small);
  const tca::PrefillParams all = {.q = q, .k = k, .v = v, .out = dense.view()};  // no kept set: dense
  backend->prefill_attention({&all, 1});
  full.store(0, k, v);
  for (std::int32_t head = 0; head < kKvHeads; ++head) {
    std::printf("KV head %d: %zu of %lld tokens chosen\n", head, kept.head(head).size(),
                static_cast<long long>(kTokens));
  }
  std::printf("KV memory: %zu bytes, full %zu bytes\n", small.bytes_used(), full.bytes_used());
  std::printf("prefill: relative error %.4f\n", relative_error(sparse.values, dense.values));

  // The next token: its K and V are stored first, then its queries see what the cache holds.
  std::vector<float> results[2];
  tca::KvCache* const caches[2] = {&small, &full};
  for (int i = 0; i < 2; ++i) {
    caches[i]->store(0, layer.k.view().tokens(kTokens, 1), layer.v.view().tokens(kTokens, 1));
    Tensor out{kQueryHeads, std::vector<float>(kQueryHeads * kHeadDim)};
    const tca::DecodeParams decode = {
        .q = layer.q.view().tokens(kTokens, 1), .out = out.view(), .cache = caches[i], .layer = 0};
    backend->decode_attention({&decode, 1});
    results[i] = out.values;
  }
  std::printf("decode: relative error %.4f\n", relative_error(results[0], results[1]));
}

}  // namespace

int main() {
  try {
    run();
  } catch (const tca::Error& error) {
    std::fprintf(stderr, "cpp_attention: %s\n", error.what());
    return 1;
  }
}
