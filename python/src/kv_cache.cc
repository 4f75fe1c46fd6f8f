#include "tca/kv_cache.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <utility>

#include "arrays.h"
#include "bindings.h"
#include "core/check.h"
#include "tca/attention.h"

namespace tca::python {
namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Released = nb::call_guard<nb::gil_scoped_release>;

const char* name_of(DType dtype) {
  return dtype == DType::kF32 ? "float32" : dtype == DType::kBF16 ? "bfloat16" : "float16";
}

void store(KvCache& cache, std::int32_t layer, const ConstArray& k, const ConstArray& v, const KeptSet* kept,
           std::int32_t window) {
  const TensorView keys = view_of(k, "k"), values = view_of(v, "v");
  const nb::gil_scoped_release released;
  cache.store(layer, keys, values, kept, window);
}

nb::ndarray<nb::numpy, std::int32_t> positions(const KvCache& cache, std::int32_t layer, std::int32_t kv_head) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(cache.length(layer, kv_head)));
  for (std::size_t slot = 0; slot < values.size(); ++slot) {
    values[slot] = cache.position(layer, kv_head, static_cast<std::int64_t>(slot));
  }
  const std::size_t count = values.size();
  return to_numpy(std::move(values), {count});
}

nb::ndarray<nb::numpy, std::int64_t> lengths(const KvCache& cache) {
  const KvShape& shape = cache.shape();
  std::vector<std::int64_t> values;
  for (std::int32_t layer = 0; layer < shape.num_layers; ++layer) {
    for (std::int32_t head = 0; head < shape.num_kv_heads; ++head) values.push_back(cache.length(layer, head));
  }
  return to_numpy(std::move(values),
                  {static_cast<std::size_t>(shape.num_layers), static_cast<std::size_t>(shape.num_kv_heads)});
}

void add_kept_set(nb::module_& module) {
  nb::class_<KeptSet>(module, "KeptSet", "Core tokens of a segment, ragged per KV head; immutable.")
      .def(
          "__init__",
          [](KeptSet* self, std::int64_t num_tokens, std::vector<std::int64_t> offsets,
             std::vector<std::int32_t> kept) { new (self) KeptSet(num_tokens, std::move(offsets), std::move(kept)); },
          "num_tokens"_a, "offsets"_a, "positions"_a,
          "offsets [num_kv_heads + 1] into positions, which ascend within a head.")
      .def_prop_ro("num_tokens", &KeptSet::num_tokens)
      .def_prop_ro("num_kv_heads", &KeptSet::num_kv_heads)
      .def_prop_ro(
          "offsets",
          [](const KeptSet& set) {
            std::vector<std::int64_t> copy = set.offsets();
            const std::size_t count = copy.size();
            return to_numpy(std::move(copy), {count});
          },
          nb::rv_policy::reference, "int64 [num_kv_heads + 1]")
      .def(
          "head",
          [](const KeptSet& set, std::int32_t kv_head) {
            check_argument(kv_head >= 0 && kv_head < set.num_kv_heads(), "kv_head is ", kv_head,
                           "; expected less than ", set.num_kv_heads());
            const auto kept = set.head(kv_head);
            return to_numpy(std::vector<std::int32_t>(kept.begin(), kept.end()), {kept.size()});
          },
          "kv_head"_a, "int32 positions that the head keeps, ascending")
      .def("__eq__", [](const KeptSet& a, const KeptSet& b) { return a == b; });
}

}  // namespace

void add_kv_cache(nb::module_& module) {
  add_kept_set(module);
  nb::class_<KvPool>(module, "KvPool",
                     "A budget of bytes that caches share. Backend.create_kv_pool makes one on a GPU.")
      .def_static(
          "create",
          [](std::size_t budget_bytes, std::int32_t head_dim, const std::string& dtype) {
            return KvPool::create(budget_bytes, head_dim, dtype_named(dtype));
          },
          "budget_bytes"_a, "head_dim"_a, "dtype"_a = "bfloat16", "In host memory.")
      .def_prop_ro("budget_bytes", &KvPool::budget_bytes)
      .def_prop_ro("used_bytes", &KvPool::used_bytes, "what is allocated now, page headers included")
      .def_prop_ro("free_pages", &KvPool::free_pages)
      .def_prop_ro("head_dim", &KvPool::head_dim)
      .def_prop_ro("dtype", [](const KvPool& pool) { return name_of(pool.dtype()); });
  nb::class_<KvCache>(module, "KvCache",
                      "The KV cache of one sequence, ragged per layer and KV head; every operation succeeds or changes "
                      "nothing.")
      .def(
          "__init__",
          [](KvCache* self, std::shared_ptr<KvPool> pool, std::int32_t num_layers, std::int32_t num_kv_heads) {
            check_argument(pool != nullptr, "pool is None");
            const KvShape shape{num_layers, num_kv_heads, pool->head_dim(), pool->dtype()};
            new (self) KvCache(std::move(pool), shape);
          },
          "pool"_a, "num_layers"_a, "num_kv_heads"_a)
      .def("store", &store, "layer"_a, "k"_a, "v"_a, "kept"_a = nb::none(), "window"_a = 0,
           "Adds a segment k, v [n, num_kv_heads, head_dim]; with kept, of each head only kept.head(h) and the last\n"
           "`window` tokens. Raises OutOfBudget with the bytes asked and free.")
      .def("num_tokens", &KvCache::num_tokens, "layer"_a, "tokens seen, dropped ones included")
      .def("length", &KvCache::length, "layer"_a, "kv_head"_a, "tokens held for one head")
      .def_prop_ro("lengths", &lengths, nb::rv_policy::reference, "int64 [num_layers, num_kv_heads]: tokens held")
      .def("positions", &positions, "layer"_a, "kv_head"_a, "int32: positions of the tokens held")
      .def(
          "thin",
          [](KvCache& cache, std::int32_t layer, std::int32_t kv_head, std::int64_t count,
             const std::vector<std::int32_t>& keep) { cache.thin(layer, kv_head, count, keep); },
          "layer"_a, "kv_head"_a, "count"_a, "keep"_a,
          "Of the tail's first `count` tokens keeps those at the offsets `keep`.")
      .def("tail_begin", &KvCache::tail_begin, "layer"_a, "kv_head"_a)
      .def("fork", &KvCache::fork, Released(), "A second sequence with the same past; pages are shared until written.")
      .def("truncate", &KvCache::truncate, "num_tokens"_a, Released(), "Takes the newest tokens back.")
      .def_prop_ro("truncation_limit", &KvCache::truncation_limit)
      .def("clear", &KvCache::clear)
      .def_prop_ro("bytes_used", &KvCache::bytes_used)
      .def("save", &KvCache::save, "path"_a, "metadata"_a = "", Released())
      .def_static(
          "load",
          [](const std::string& path, std::shared_ptr<KvPool> pool) {
            return KvCache::load(path, std::move(pool), {});
          },
          "path"_a, "pool"_a, Released());
}

}  // namespace tca::python
