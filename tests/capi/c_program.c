#include "c_program.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tca/tca.h"

enum { kTokens = 300, kHeads = 4, kKvHeads = 2, kDim = 64, kWindow = 32, kSinks = 4, kProbes = 8, kShares = 8 };

/* bf16, which every backend takes. */
static uint16_t q[kTokens][kHeads][kDim];
static uint16_t k[kTokens][kKvHeads][kDim];
static uint16_t v[kTokens][kKvHeads][kDim];
static uint16_t out[kTokens][kHeads][kDim];
static uint16_t decoded[kHeads][kDim];
static float lse[kHeads];

static char failure[512];

#define REQUIRE(condition)                                                                           \
  do {                                                                                               \
    if (!(condition)) {                                                                              \
      snprintf(failure, sizeof(failure), "line %d: %s: %s", __LINE__, #condition, tca_last_error()); \
      return failure;                                                                                \
    }                                                                                                \
  } while (0)
#define REQUIRE_OK(call) REQUIRE((call) == TCA_OK)

/* Numbers in [-1, 1), cut to the upper half of a float. */
static void fill(uint16_t* values, int count, unsigned seed) {
  int i;
  for (i = 0; i < count; ++i) {
    float value;
    uint32_t bits;
    seed = seed * 1664525u + 1013904223u;
    value = (float)(seed >> 16) / 32768.0f - 1.0f;
    memcpy(&bits, &value, sizeof(bits));
    values[i] = (uint16_t)(bits >> 16);
  }
}

static int is_finite(uint16_t value) { return (value & 0x7f80u) != 0x7f80u; }

/* One head keeps a quarter of each block, the other nothing but sinks and window. */
static const double shares[kKvHeads][kShares] = {{0, 0, 0, 0, 0, 1, 0, 0}, {1, 0, 0, 0, 0, 0, 0, 0}};

static const char* prefill(const tca_backend* backend, tca_kept_set** kept) {
  tca_select_params select = {0};
  tca_prefill_params params = {0};
  const int32_t* positions = NULL;
  int64_t count = 0;
  select.k = tca_contiguous(k, TCA_BF16, kTokens, kKvHeads, kDim);
  select.q = tca_contiguous(q[kTokens - kProbes], TCA_BF16, kProbes, kHeads, kDim);
  select.shares = shares[0];
  select.num_shares = kShares;
  select.rule = tca_selection_rule_default();
  select.rule.probe_queries = kProbes;
  select.rule.sinks = kSinks;
  select.rule.window = kWindow;
  REQUIRE_OK(tca_select(backend, &select, kept));
  REQUIRE_OK(tca_kept_set_head(*kept, 1, &positions, &count));
  REQUIRE(count == kSinks && positions[0] == 0 && positions[3] == 3);
  REQUIRE_OK(tca_kept_set_head(*kept, 0, &positions, &count));
  /* 16 tokens of each of 4 whole blocks and of the 44 last tokens, and sinks that were not among them. */
  REQUIRE(count >= 5 * 16 && count <= 5 * 16 + kSinks);

  params.q = tca_contiguous(q, TCA_BF16, kTokens, kHeads, kDim);
  params.k = select.k;
  params.v = tca_contiguous(v, TCA_BF16, kTokens, kKvHeads, kDim);
  params.out = tca_mutable_contiguous(out, TCA_BF16, kTokens, kHeads, kDim);
  params.kept = *kept;
  params.window = kWindow;
  params.sinks = kSinks;
  REQUIRE_OK(tca_prefill_attention(backend, &params, 1));
  /* The first query sees itself alone. */
  REQUIRE(out[0][0][5] == v[0][0][5] && out[0][3][5] == v[0][1][5]);
  return NULL;
}

static const char* decode(const tca_backend* backend, tca_kv_cache* cache) {
  const tca_tensor one_k = tca_contiguous(k[7], TCA_BF16, 1, kKvHeads, kDim);
  const tca_tensor one_v = tca_contiguous(v[7], TCA_BF16, 1, kKvHeads, kDim);
  tca_decode_params params = {0};
  int h = 0;
  REQUIRE_OK(tca_kv_cache_store(cache, 0, &one_k, &one_v, NULL, 0));
  params.q = tca_contiguous(q[7], TCA_BF16, 1, kHeads, kDim);
  params.out = tca_mutable_contiguous(decoded, TCA_BF16, 1, kHeads, kDim);
  params.cache = cache;
  params.lse = lse;
  REQUIRE_OK(tca_decode_attention(backend, &params, 1));
  for (h = 0; h < kHeads; ++h) REQUIRE(is_finite(decoded[h][0]) && isfinite(lse[h]));
  return NULL;
}

static tca_status accept_shape(const tca_kv_shape* shape, const char* metadata, size_t size, void* user) {
  *(int*)user += 1;
  return shape->head_dim == kDim && size == 4 && memcmp(metadata, "text", 4) == 0 ? TCA_OK : TCA_UNSUPPORTED;
}

static const char* use_cache(const tca_backend* backend, tca_kv_pool* pool, const tca_kept_set* kept,
                             const char* path) {
  const tca_kv_shape shape = {1, kKvHeads, kDim, TCA_BF16};
  const tca_tensor all_k = tca_contiguous(k, TCA_BF16, kTokens, kKvHeads, kDim);
  const tca_tensor all_v = tca_contiguous(v, TCA_BF16, kTokens, kKvHeads, kDim);
  const int32_t keep[] = {0, 3};
  tca_kv_cache *cache = NULL, *fork = NULL, *loaded = NULL;
  const char* failed = NULL;
  int64_t length = 0, tail = 0, after = 0;
  int asked = 0;
  tca_kv_page page;
  REQUIRE_OK(tca_kv_cache_create(pool, &shape, &cache));
  REQUIRE_OK(tca_kv_cache_store(cache, 0, &all_k, &all_v, kept, kWindow));
  REQUIRE_OK(tca_kv_cache_length(cache, 0, 1, &length));
  REQUIRE(length == kSinks + kWindow);
  failed = decode(backend, cache);
  if (failed != NULL) return failed;

  REQUIRE_OK(tca_kv_cache_fork(cache, &fork));
  REQUIRE_OK(tca_kv_cache_tail_begin(fork, 0, 1, &tail));
  REQUIRE(tail == kSinks);
  REQUIRE_OK(tca_kv_cache_thin(fork, 0, 1, 10, keep, 2));
  REQUIRE_OK(tca_kv_cache_length(fork, 0, 1, &after));
  REQUIRE(after == length + 1 - 8);
  REQUIRE_OK(tca_kv_cache_page(fork, 0, 1, 0, &page));
  REQUIRE(page.count == after && page.positions[5] == kTokens - kWindow + 3);

  REQUIRE_OK(tca_kv_cache_save(fork, path, "text", 4));
  REQUIRE_OK(tca_kv_cache_load(path, pool, accept_shape, &asked, &loaded));
  REQUIRE(asked == 1);
  REQUIRE_OK(tca_kv_cache_length(loaded, 0, 1, &length));
  REQUIRE(length == after);
  tca_kv_cache_destroy(cache);
  tca_kv_cache_destroy(fork);
  tca_kv_cache_destroy(loaded);
  return NULL;
}

const char* run_c_program(const char* backend_name, const char* path) {
  tca_thread_pool* threads = NULL;
  tca_backend* backend = NULL;
  tca_kv_pool* pool = NULL;
  tca_kept_set* kept = NULL;
  tca_kv_pool_info info;
  const char* failed = NULL;
  fill(q[0][0], kTokens * kHeads * kDim, 1);
  fill(k[0][0], kTokens * kKvHeads * kDim, 2);
  fill(v[0][0], kTokens * kKvHeads * kDim, 3);
  REQUIRE_OK(tca_thread_pool_create(2, &threads));
  REQUIRE_OK(tca_backend_create(backend_name, threads, &backend));
  tca_thread_pool_destroy(threads); /* the backend keeps the threads */
  REQUIRE_OK(tca_kv_pool_create(backend, (size_t)1 << 22, kDim, TCA_BF16, &pool));
  failed = prefill(backend, &kept);
  if (failed == NULL) failed = use_cache(backend, pool, kept, path);
  REQUIRE_OK(tca_kv_pool_get_info(pool, &info));
  if (failed == NULL) REQUIRE(info.used_bytes == 0);
  tca_kept_set_destroy(kept);
  tca_kv_pool_destroy(pool);
  tca_backend_destroy(backend);
  return failed;
}
