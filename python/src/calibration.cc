// Calibration by dropped attention mass of models that somebody else runs.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>

#include "arrays.h"
#include "bindings.h"
#include "calibration/calibrate.h"
#include "tca/backend.h"

namespace tca::python {
namespace nb = nanobind;
using namespace nb::literals;

namespace {

/// On the CPU, whatever device the model is on: tensors come as host arrays.
struct Calibration {
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<calibration::MassCalibration> measured;
};

void add_layer(Calibration& self, std::int32_t layer, const ConstArray& q, const ConstArray& k) {
  const TensorView queries = view_of(q, "q"), keys = view_of(k, "k");
  const nb::gil_scoped_release released;
  self.measured->on_layer(layer, queries, keys, keys);
}

}  // namespace

void add_calibration(nb::module_& module) {
  nb::class_<Calibration>(module, "Calibration",
                          "Measures the attention mass that heads would drop: begin() a sequence, add() each of its "
                          "layers, at last profile().")
      .def(
          "__init__",
          [](Calibration* self, const ModelFingerprint& model, std::vector<double> budgets,
             std::vector<std::string> objectives, std::int32_t rows, std::uint64_t seed) {
            auto pool = std::make_unique<ThreadPool>();
            auto backend = create_backend("cpu", *pool);
            calibration::CalibrationOptions options;
            options.budgets = std::move(budgets);
            options.objectives = std::move(objectives);
            options.rows = rows;
            options.seed = seed;
            auto measured = std::make_unique<calibration::MassCalibration>(model, *backend, *pool, host_memory(),
                                                                           std::move(options));
            new (self) Calibration{std::move(pool), std::move(backend), std::move(measured)};
          },
          "model"_a, nb::kw_only(), "budgets"_a, "objectives"_a, "rows"_a = 192, "seed"_a = 0)
      .def(
          "begin",
          [](Calibration& self, std::int64_t tokens, std::int64_t document) { self.measured->begin(tokens, document); },
          "num_tokens"_a, "document_tokens"_a)
      .def("add", &add_layer, "layer"_a, "q"_a, "k"_a,
           "q [num_tokens, num_heads, head_dim] and k [num_tokens, num_kv_heads, head_dim] of a whole sequence, after "
           "RoPE, in host memory.")
      .def("profile", [](const Calibration& self) { return self.measured->profile(); });
}

}  // namespace tca::python
