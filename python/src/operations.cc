#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "arrays.h"
#include "bindings.h"
#include "core/check.h"
#include "tca/backend.h"

namespace tca::python {
namespace nb = nanobind;
using namespace nb::literals;

namespace {

/// A backend with a pool of threads of its own.
struct BoundBackend {
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<Backend> backend;
};

using OptionalPast = std::optional<std::tuple<const KvCache*, std::int32_t>>;

Past past_of(const OptionalPast& past) { return past ? Past{std::get<0>(*past), std::get<1>(*past)} : Past{}; }

std::int64_t queries_of(const TensorView& q) { return q.num_tokens * q.num_heads; }

std::span<float> lse_of(const std::optional<Array>& lse, const TensorView& q) {
  if (!lse) return {};
  return floats_of(*lse, queries_of(q), /*host_only=*/false, "lse");
}

KeptSet select(const BoundBackend& self, const ConstArray& q, const ConstArray& k,
               const std::vector<BlockShares>& shares, const SelectionRule& rule, const OptionalPast& past, float scale,
               bool probes_follow, ProbeReduce reduce, const std::vector<std::int32_t>& windows) {
  const SelectParams params{.q = view_of(q, "q"),
                            .k = view_of(k, "k"),
                            .past = past_of(past),
                            .shares = shares,
                            .rule = rule,
                            .scale = scale,
                            .probes_follow = probes_follow,
                            .reduce = reduce,
                            .windows = windows};
  const nb::gil_scoped_release released;
  return self.backend->select(params);
}

void prefill(const BoundBackend& self, const ConstArray& q, const ConstArray& k, const ConstArray& v, const Array& out,
             const KeptSet* kept, std::int32_t window, std::int32_t sinks, const OptionalPast& past, float scale,
             const std::optional<Array>& lse) {
  const TensorView queries = view_of(q, "q");
  const PrefillParams params{.q = queries,
                             .k = view_of(k, "k"),
                             .v = view_of(v, "v"),
                             .out = mutable_view_of(out, "out"),
                             .past = past_of(past),
                             .kept = kept,
                             .window = window,
                             .sinks = sinks,
                             .scale = scale,
                             .lse = lse_of(lse, queries)};
  const nb::gil_scoped_release released;
  self.backend->prefill_attention(std::span(&params, 1));
}

void decode(const BoundBackend& self, const std::vector<ConstArray>& q, const std::vector<Array>& out,
            const std::vector<const KvCache*>& caches, std::int32_t layer, float scale) {
  check_argument(q.size() == out.size() && q.size() == caches.size(), "there are ", q.size(), " tensors of queries, ",
                 out.size(), " of outputs and ", caches.size(), " caches; expected as many of each");
  std::vector<DecodeParams> batch;
  for (std::size_t i = 0; i < q.size(); ++i) {
    batch.push_back({.q = view_of(q[i], "q"),
                     .out = mutable_view_of(out[i], "out"),
                     .cache = caches[i],
                     .layer = layer,
                     .scale = scale});
  }
  const nb::gil_scoped_release released;
  self.backend->decode_attention(batch);
}

nb::ndarray<nb::numpy, float> probe_scores(const BoundBackend& self, const ConstArray& q, const ConstArray& k,
                                           const OptionalPast& past, std::int32_t pool_width, float scale,
                                           bool probes_follow, ProbeReduce reduce) {
  const TensorView keys = view_of(k, "k");
  const ProbeParams params{.q = view_of(q, "q"),
                           .k = keys,
                           .past = past_of(past),
                           .pool_width = pool_width,
                           .scale = scale,
                           .probes_follow = probes_follow,
                           .reduce = reduce};
  std::vector<float> scores(static_cast<std::size_t>(keys.num_heads * keys.num_tokens));
  {
    const nb::gil_scoped_release released;
    self.backend->probe_scores(params, scores);
  }
  return to_numpy(std::move(scores),
                  {static_cast<std::size_t>(keys.num_heads), static_cast<std::size_t>(keys.num_tokens)});
}

std::vector<HeadCertificate> certify(const BoundBackend& self, const ConstArray& q,
                                     const std::vector<std::int32_t>& rows, const ConstArray& k, const ConstArray& v,
                                     const KeptSet* kept, std::int32_t window, std::int32_t sinks,
                                     const OptionalPast& past, float scale) {
  const CertifyParams params{.q = view_of(q, "q"),
                             .rows = rows,
                             .k = view_of(k, "k"),
                             .v = view_of(v, "v"),
                             .past = past_of(past),
                             .kept = kept,
                             .window = window,
                             .sinks = sinks,
                             .scale = scale};
  const nb::gil_scoped_release released;
  return self.backend->certify(params);
}

void add_certificate(nb::module_& module) {
  nb::class_<HeadCertificate>(module, "HeadCertificate",
                              "Attention mass that sampled rows of one KV head lose, and the bound on their error.")
      .def_ro("mean_delta", &HeadCertificate::mean_delta)
      .def_ro("p95_delta", &HeadCertificate::p95_delta)
      .def_ro("max_delta", &HeadCertificate::max_delta)
      .def_ro("output_norm", &HeadCertificate::output_norm, "mean norm of the rows' dense outputs")
      .def_ro("bound", &HeadCertificate::bound, "of the error of every sampled row with delta <= p95_delta");
}

}  // namespace

void add_operations(nb::module_& module) {
  add_certificate(module);
  module.def("available_backends", &available_backends, "Names of this build's backends.");
  nb::class_<BoundBackend>(module, "Backend",
                           "Where operations run. On a GPU bound to one stream: nothing waits there.")
      .def(
          "__init__",
          [](BoundBackend* self, const std::string& name, int threads, const std::optional<std::uintptr_t>& stream,
             std::int32_t device) {
            auto pool = std::make_unique<ThreadPool>(threads);
            auto backend = stream ? create_backend(name, *pool, Stream{device, reinterpret_cast<void*>(*stream)})
                                  : create_backend(name, *pool);
            new (self) BoundBackend{std::move(pool), std::move(backend)};
          },
          "name"_a = "auto", nb::kw_only(), "threads"_a = 0, "stream"_a = nb::none(), "device"_a = 0,
          "name: \"cpu\", \"cuda\", \"cuda:1\", \"reference\" or \"auto\". stream: a cudaStream_t as an integer, "
          "which\n"
          "must outlive what is made on it. Raises Unsupported listing what there is.")
      .def_prop_ro("name", [](const BoundBackend& self) { return std::string(self.backend->name()); })
      .def_prop_ro("isa", [](const BoundBackend& self) { return self.backend->capabilities().isa; })
      .def(
          "synchronize", [](const BoundBackend& self) { self.backend->synchronize(); },
          nb::call_guard<nb::gil_scoped_release>())
      .def(
          "create_kv_pool",
          [](const BoundBackend& self, std::size_t budget, std::int32_t head_dim, const std::string& dtype) {
            return self.backend->create_kv_pool(budget, head_dim, dtype_named(dtype));
          },
          "budget_bytes"_a, "head_dim"_a, "dtype"_a = "bfloat16", "Whose pages this backend's kernels read.")
      .def(
          "break_even_tokens",
          [](const BoundBackend& self, double kept_share, std::int32_t head_dim) {
            return self.backend->break_even_tokens(kept_share, head_dim);
          },
          "kept_share"_a, "head_dim"_a, "Shortest segment for which sparse prefill should be no slower than dense.")
      .def("probe_scores", &probe_scores, "q"_a, "k"_a, nb::kw_only(), "past"_a = nb::none(), "pool_width"_a = 7,
           "scale"_a = 0.f, "probes_follow"_a = false, "reduce"_a = ProbeReduce::kMean,
           "float32 [num_kv_heads, num_tokens]: what the probes q [P, num_heads, head_dim] give to the keys.")
      .def("select", &select, "q"_a, "k"_a, nb::kw_only(), "shares"_a, "rule"_a = SelectionRule{},
           "past"_a = nb::none(), "scale"_a = 0.f, "probes_follow"_a = false, "reduce"_a = ProbeReduce::kMean,
           "windows"_a = std::vector<std::int32_t>(),
           "Chooses the core tokens of a segment (docs/algorithm.md, steps 1-4): KeptSet. q: its last\n"
           "rule.probe_queries queries; k [num_tokens, num_kv_heads, head_dim]; shares: BlockShares a KV head.")
      .def("prefill_attention", &prefill, "q"_a, "k"_a, "v"_a, "out"_a, nb::kw_only(), "kept"_a = nb::none(),
           "window"_a = 256, "sinks"_a = 4, "past"_a = nb::none(), "scale"_a = 0.f, "lse"_a = nb::none(),
           "Attention of a segment's last queries into out, over what `kept`, window and sinks show; dense without.")
      .def("decode_attention", &decode, "q"_a, "out"_a, "caches"_a, nb::kw_only(), "layer"_a, "scale"_a = 0.f,
           "Queries [n, num_heads, head_dim] of the last n tokens of each cache: lists, one entry a sequence.")
      .def("certify", &certify, "q"_a, "rows"_a, "k"_a, "v"_a, nb::kw_only(), "kept"_a, "window"_a = 256, "sinks"_a = 4,
           "past"_a = nb::none(), "scale"_a = 0.f,
           "Attention mass that the sampled queries q, at positions `rows`, lose: HeadCertificate a KV head.");
}

}  // namespace tca::python
