// What the handles of tca.h hold, and how exceptions become statuses.
#pragma once

#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "core/check.h"
#include "tca/backend.h"
#include "tca/profile.h"
#include "tca/tca.h"

// Handles share what they depend on, so that they may be destroyed in any order.
struct tca_thread_pool {
  std::shared_ptr<tca::ThreadPool> pool;
};
struct tca_backend {
  std::shared_ptr<tca::ThreadPool> pool;  // before the backend that uses it: destroyed after it
  std::unique_ptr<tca::Backend> backend;
  std::string name, isa;
};
struct tca_cancel {
  std::atomic<bool> requested{false};
};
struct tca_profile {
  tca::Profile profile;
};
struct tca_kept_set {
  tca::KeptSet set;
};
struct tca_kv_pool {
  std::shared_ptr<tca::KvPool> pool;
};
struct tca_kv_cache {
  tca::KvCache cache;
};

namespace tca::capi {

/// Keeps the message for tca_last_error() and returns the status.
tca_status report(tca_status status, const char* message) noexcept;
tca_status status_of(ErrorCategory category) noexcept;

/// Runs body; no exception gets past it.
template <class Body>
tca_status guarded(const Body& body) noexcept {
  try {
    body();
    return TCA_OK;
  } catch (const Error& error) {
    return report(status_of(error.category()), error.what());
  } catch (const std::bad_alloc&) {
    return report(TCA_OUT_OF_MEMORY, "the system has no memory left");
  } catch (const std::exception& error) {
    return report(TCA_INTERNAL, error.what());
  } catch (...) {
    return report(TCA_INTERNAL, "unknown exception");
  }
}

/// *pointer, or kInvalidArgument with its name when it is null.
template <class T>
T& required(T* pointer, const char* name) {
  check_argument(pointer != nullptr, name, " is null");
  return *pointer;
}

/// Sets *out to a handle that make() returns, to null when it throws.
template <class Handle, class Make>
tca_status create(Handle** out, const Make& make) {
  if (out != nullptr) *out = nullptr;
  return guarded([&] {
    required(out, "out");
    *out = new Handle{make()};
  });
}

/// What a function that gives text says of its parameters.
void give_text(const std::string& text, char* out, std::size_t capacity, std::size_t* size);

/// An enum of C may hold any number.
DType to_dtype(tca_dtype dtype, const char* name);
TensorView to_view(const tca_tensor& tensor, const char* name);
MutableTensorView to_view(const tca_mutable_tensor& tensor, const char* name);
SelectionRule to_rule(const tca_selection_rule& rule);
tca_selection_rule from_rule(const SelectionRule& rule);

}  // namespace tca::capi
