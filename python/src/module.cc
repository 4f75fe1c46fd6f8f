#include <nanobind/nanobind.h>

#include "bindings.h"
#include "tca/version.h"

NB_MODULE(_tca, module) {
  module.doc() = "Bindings of libtca and its runtime; the package `tca` is its public face.";
  module.attr("__version__") = TCA_VERSION;
  tca::python::add_errors(module);
  tca::python::add_profile(module);
  tca::python::add_kv_cache(module);
  tca::python::add_operations(module);
  tca::python::add_engine(module);
  tca::python::add_calibration(module);
}
