#include <new>

#include "bindings.h"
#include "cli/output.h"
#include "tca/error.h"

namespace tca::python {
namespace nb = nanobind;

namespace {

// Made once and never freed: exceptions may be raised until the interpreter ends.
struct Classes {
  PyObject* error;
  PyObject* by_category[6];
  PyObject* usage;
};
Classes* classes = nullptr;

PyObject* make(nb::module_& module, const char* name, PyObject* base, PyObject* builtin, const char* doc) {
  const nb::object bases = builtin == nullptr ? nb::borrow(base) : nb::steal(PyTuple_Pack(2, base, builtin));
  const std::string full = std::string("tca.") + name;
  PyObject* const made = PyErr_NewExceptionWithDoc(full.c_str(), doc, bases.ptr(), nullptr);
  if (made == nullptr) throw nb::python_error();
  module.attr(name) = nb::borrow(made);
  return made;
}

PyObject* class_of(ErrorCategory category) { return classes->by_category[static_cast<int>(category)]; }

}  // namespace

void add_errors(nb::module_& module) {
  auto* const made = new Classes{};
  made->error = make(module, "Error", PyExc_Exception, nullptr,
                     "What tca raises: the message names the parameter, file or field, its value, and what to do.");
  const auto add = [&](ErrorCategory category, const char* name, PyObject* builtin, const char* doc) {
    made->by_category[static_cast<int>(category)] = make(module, name, made->error, builtin, doc);
  };
  add(ErrorCategory::kInvalidArgument, "InvalidArgument", PyExc_ValueError,
      "A parameter is out of its documented range.");
  add(ErrorCategory::kUnsupported, "Unsupported", PyExc_NotImplementedError,
      "A valid request that this build, backend or machine cannot serve.");
  add(ErrorCategory::kBadFile, "BadFile", PyExc_ValueError, "A file's content is not what its format says.");
  add(ErrorCategory::kIo, "IoError", PyExc_OSError,
      "The operating system refused: missing file, disk full, GPU failed.");
  add(ErrorCategory::kOutOfBudget, "OutOfBudget", PyExc_MemoryError,
      "A KV pool's byte budget, or a GPU's memory, is used up.");
  add(ErrorCategory::kCancelled, "Cancelled", nullptr, "The caller asked to stop.");
  classes = made;
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      PyErr_SetString(class_of(error.category()), error.what());
    } catch (const cli::UsageError& error) {
      PyErr_SetString(class_of(ErrorCategory::kInvalidArgument), error.what());
    }
  });
}

}  // namespace tca::python
