#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "capi/handles.h"

using tca::capi::create;
using tca::capi::guarded;
using tca::capi::required;
using tca::capi::to_dtype;

tca_status tca_thread_pool_create(int num_threads, tca_thread_pool** out) {
  return create(out, [&] { return tca_thread_pool{std::make_shared<tca::ThreadPool>(num_threads)}; });
}

tca_status tca_thread_pool_num_threads(const tca_thread_pool* pool, int* out) {
  return guarded([&] { required(out, "out") = required(pool, "pool").pool->num_threads(); });
}

tca_status tca_thread_pool_parallel_for(tca_thread_pool* pool, int64_t count, tca_task task, void* user) {
  return guarded([&] {
    const auto& threads = required(pool, "pool").pool;
    tca::check_argument(task != nullptr, "task is null");
    tca::check_argument(count >= 0, "count is ", count, "; expected 0 or more");
    threads->parallel_for(count, [&](std::int64_t index, int worker) { task(index, worker, user); });
  });
}

void tca_thread_pool_destroy(tca_thread_pool* pool) { delete pool; }

namespace {

tca_backend make_backend(const std::shared_ptr<tca::ThreadPool>& threads, std::unique_ptr<tca::Backend> backend) {
  std::string name(backend->name()), isa = backend->capabilities().isa;
  return {threads, std::move(backend), std::move(name), std::move(isa)};
}

}  // namespace

tca_status tca_available_backend(size_t index, const char** out) {
  return guarded([&] {
    static const std::vector<std::string> names = tca::available_backends();
    required(out, "out") = index < names.size() ? names[index].c_str() : nullptr;
  });
}

tca_status tca_backend_create(const char* name, tca_thread_pool* pool, tca_backend** out) {
  return create(out, [&] {
    const auto& threads = required(pool, "pool").pool;
    return make_backend(threads, tca::create_backend(&required(name, "name"), *threads));
  });
}

tca_status tca_backend_create_on_stream(const char* name, tca_thread_pool* pool, const tca_stream* stream,
                                        tca_backend** out) {
  return create(out, [&] {
    const auto& threads = required(pool, "pool").pool;
    const tca_stream& of = required(stream, "stream");
    return make_backend(threads, tca::create_backend(&required(name, "name"), *threads,
                                                     tca::Stream{.device = of.device, .handle = of.handle}));
  });
}

tca_status tca_backend_stream(const tca_backend* backend, int* found, tca_stream* out) {
  return guarded([&] {
    const std::optional<tca::Stream> stream = required(backend, "backend").backend->stream();
    tca_stream& to = required(out, "out");
    required(found, "found") = stream ? 1 : 0;
    to = {.device = stream ? stream->device : 0, .handle = stream ? stream->handle : nullptr};
  });
}

tca_status tca_backend_synchronize(const tca_backend* backend) {
  return guarded([&] { required(backend, "backend").backend->synchronize(); });
}

tca_status tca_backend_isa(const tca_backend* backend, const char** out) {
  return guarded([&] { required(out, "out") = required(backend, "backend").isa.c_str(); });
}

tca_status tca_backend_name(const tca_backend* backend, const char** out) {
  return guarded([&] { required(out, "out") = required(backend, "backend").name.c_str(); });
}

tca_status tca_backend_supports(const tca_backend* backend, tca_dtype dtype, int32_t head_dim, int* out) {
  return guarded([&] {
    const tca::Capabilities can = required(backend, "backend").backend->capabilities();
    const bool dtype_ok = std::find(can.dtypes.begin(), can.dtypes.end(), to_dtype(dtype, "the")) != can.dtypes.end();
    const bool dim_ok = head_dim > 0 && (can.head_dims.empty() || std::find(can.head_dims.begin(), can.head_dims.end(),
                                                                            head_dim) != can.head_dims.end());
    required(out, "out") = dtype_ok && dim_ok ? 1 : 0;
  });
}

tca_status tca_backend_break_even_tokens(const tca_backend* backend, double kept_share, int32_t head_dim,
                                         int64_t* out) {
  return guarded([&] {
    tca::check_argument(kept_share >= 0 && kept_share <= 1, "kept_share is ", kept_share, "; expected 0 to 1");
    tca::check_argument(head_dim > 0, "head_dim is ", head_dim, "; expected 1 or more");
    required(out, "out") = required(backend, "backend").backend->break_even_tokens(kept_share, head_dim);
  });
}

void tca_backend_destroy(tca_backend* backend) { delete backend; }

tca_status tca_cancel_create(tca_cancel** out) {
  return create(out, [] { return false; });
}

tca_status tca_cancel_request(tca_cancel* cancel) {
  return guarded([&] { required(cancel, "cancel").requested.store(true); });
}

tca_status tca_cancel_reset(tca_cancel* cancel) {
  return guarded([&] { required(cancel, "cancel").requested.store(false); });
}

void tca_cancel_destroy(tca_cancel* cancel) { delete cancel; }
