// The parts of the module `tca._tca`. Each adds its classes and functions.
#pragma once

#include <nanobind/nanobind.h>

namespace tca::python {

void add_errors(nanobind::module_& module);
void add_profile(nanobind::module_& module);
void add_kv_cache(nanobind::module_& module);
void add_operations(nanobind::module_& module);
void add_engine(nanobind::module_& module);
void add_calibration(nanobind::module_& module);

}  // namespace tca::python
