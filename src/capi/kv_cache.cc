#include <optional>

#include "capi/handles.h"

using tca::capi::create;
using tca::capi::guarded;
using tca::capi::required;
using tca::capi::to_dtype;
using tca::capi::to_view;

namespace {

tca_kv_shape from_shape(const tca::KvShape& shape) {
  return {.num_layers = shape.num_layers,
          .num_kv_heads = shape.num_kv_heads,
          .head_dim = shape.head_dim,
          .dtype = static_cast<tca_dtype>(shape.dtype)};
}

tca_stream from_stream(const std::optional<tca::Stream>& stream) {
  if (!stream) return {.device = 0, .handle = nullptr};
  return {.device = stream->device, .handle = stream->handle};
}

}  // namespace

tca_status tca_kv_pool_create(const tca_backend* backend, size_t budget_bytes, int32_t head_dim, tca_dtype dtype,
                              tca_kv_pool** out) {
  return create(out, [&] {
    const tca::DType of = to_dtype(dtype, "pool");
    return backend != nullptr ? backend->backend->create_kv_pool(budget_bytes, head_dim, of)
                              : tca::KvPool::create(budget_bytes, head_dim, of);
  });
}

tca_status tca_kv_pool_get_info(const tca_kv_pool* pool, tca_kv_pool_info* out) {
  return guarded([&] {
    const tca::KvPool& of = *required(pool, "pool").pool;
    required(out, "out") = {.budget_bytes = of.budget_bytes(),
                            .used_bytes = of.used_bytes(),
                            .page_bytes = of.page_bytes(),
                            .free_pages = of.free_pages(),
                            .head_dim = of.head_dim(),
                            .dtype = static_cast<tca_dtype>(of.dtype()),
                            .layout = static_cast<tca_page_layout>(of.layout()),
                            .stream = from_stream(of.stream())};
  });
}

void tca_kv_pool_destroy(tca_kv_pool* pool) { delete pool; }

tca_status tca_kv_cache_create(tca_kv_pool* pool, const tca_kv_shape* shape, tca_kv_cache** out) {
  return create(out, [&] {
    const tca_kv_shape& of = required(shape, "shape");
    return tca::KvCache(required(pool, "pool").pool, {.num_layers = of.num_layers,
                                                      .num_kv_heads = of.num_kv_heads,
                                                      .head_dim = of.head_dim,
                                                      .dtype = to_dtype(of.dtype, "shape")});
  });
}

tca_status tca_kv_cache_fork(const tca_kv_cache* cache, tca_kv_cache** out) {
  return create(out, [&] { return required(cache, "cache").cache.fork(); });
}

void tca_kv_cache_destroy(tca_kv_cache* cache) { delete cache; }

tca_status tca_kv_cache_shape(const tca_kv_cache* cache, tca_kv_shape* out) {
  return guarded([&] { required(out, "out") = from_shape(required(cache, "cache").cache.shape()); });
}

tca_status tca_kv_cache_pool(const tca_kv_cache* cache, tca_kv_pool** out) {
  return create(out, [&] { return required(cache, "cache").cache.pool(); });
}

tca_status tca_kv_cache_num_tokens(const tca_kv_cache* cache, int32_t layer, int64_t* out) {
  return guarded([&] { required(out, "out") = required(cache, "cache").cache.num_tokens(layer); });
}

tca_status tca_kv_cache_length(const tca_kv_cache* cache, int32_t layer, int32_t kv_head, int64_t* out) {
  return guarded([&] { required(out, "out") = required(cache, "cache").cache.length(layer, kv_head); });
}

tca_status tca_kv_cache_position(const tca_kv_cache* cache, int32_t layer, int32_t kv_head, int64_t slot,
                                 int32_t* out) {
  return guarded([&] { required(out, "out") = required(cache, "cache").cache.position(layer, kv_head, slot); });
}

tca_status tca_kv_cache_tail_begin(const tca_kv_cache* cache, int32_t layer, int32_t kv_head, int64_t* out) {
  return guarded([&] { required(out, "out") = required(cache, "cache").cache.tail_begin(layer, kv_head); });
}

tca_status tca_kv_cache_num_pages(const tca_kv_cache* cache, int32_t layer, int32_t kv_head, int32_t* out) {
  return guarded([&] { required(out, "out") = required(cache, "cache").cache.num_pages(layer, kv_head); });
}

tca_status tca_kv_cache_page(const tca_kv_cache* cache, int32_t layer, int32_t kv_head, int32_t index,
                             tca_kv_page* out) {
  return guarded([&] {
    const tca::KvPageView page = required(cache, "cache").cache.page(layer, kv_head, index);
    required(out, "out") = {.k = page.k, .v = page.v, .positions = page.positions, .count = page.count};
  });
}

tca_status tca_kv_cache_bytes_used(const tca_kv_cache* cache, size_t* out) {
  return guarded([&] { required(out, "out") = required(cache, "cache").cache.bytes_used(); });
}

tca_status tca_kv_cache_pages_needed(const tca_kv_cache* cache, int64_t num_tokens, int64_t* out) {
  return guarded([&] { required(out, "out") = required(cache, "cache").cache.pages_needed(num_tokens); });
}

tca_status tca_kv_cache_store(tca_kv_cache* cache, int32_t layer, const tca_tensor* k, const tca_tensor* v,
                              const tca_kept_set* kept, int32_t window) {
  return guarded([&] {
    required(cache, "cache")
        .cache.store(layer, to_view(required(k, "k"), "k"), to_view(required(v, "v"), "v"),
                     kept != nullptr ? &kept->set : nullptr, window);
  });
}

tca_status tca_kv_cache_reserve(tca_kv_cache* cache, int64_t num_tokens) {
  return guarded([&] { required(cache, "cache").cache.reserve(num_tokens); });
}

tca_status tca_kv_cache_thin(tca_kv_cache* cache, int32_t layer, int32_t kv_head, int64_t count, const int32_t* keep,
                             size_t num_keep) {
  return guarded([&] {
    if (num_keep > 0) required(keep, "keep");
    required(cache, "cache").cache.thin(layer, kv_head, count, {keep, num_keep});
  });
}

tca_status tca_kv_cache_truncate(tca_kv_cache* cache, int64_t num_tokens) {
  return guarded([&] { required(cache, "cache").cache.truncate(num_tokens); });
}

tca_status tca_kv_cache_truncation_limit(const tca_kv_cache* cache, int64_t* out) {
  return guarded([&] { required(out, "out") = required(cache, "cache").cache.truncation_limit(); });
}

tca_status tca_kv_cache_clear(tca_kv_cache* cache) {
  return guarded([&] { required(cache, "cache").cache.clear(); });
}

tca_status tca_kv_cache_save(const tca_kv_cache* cache, const char* path, const char* metadata, size_t metadata_size) {
  return guarded([&] {
    const std::string text = metadata_size > 0 ? std::string(&required(metadata, "metadata"), metadata_size) : "";
    required(cache, "cache").cache.save(&required(path, "path"), text);
  });
}

tca_status tca_kv_cache_load(const char* path, tca_kv_pool* pool, tca_kv_accept accept, void* user,
                             tca_kv_cache** out) {
  tca_status answer = TCA_OK;
  const tca_status status = create(out, [&] {
    const auto ask = [&](const tca::KvShape& shape, const std::string& metadata) {
      if (accept == nullptr) return;
      const tca_kv_shape c_shape = from_shape(shape);
      answer = accept(&c_shape, metadata.c_str(), metadata.size(), user);
      tca::check_argument(answer == TCA_OK, "'", &required(path, "path"), "' was refused by the caller");
    };
    return tca::KvCache::load(&required(path, "path"), required(pool, "pool").pool, ask);
  });
  return answer != TCA_OK ? answer : status;
}
