/* One attention layer over a prompt through the C interface: choose, attend, store, decode one token. The argument
 * names a backend: "cuda" computes on a GPU. Tensors are bf16, which every backend takes, and lie in host memory here.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tca/tca.h"

enum { kTokens = 4096, kQueryHeads = 4, kKvHeads = 2, kHeadDim = 64, kShares = 8 };

/* Everything that has to be freed; null until it is made. */
typedef struct Objects {
  uint16_t *q, *k, *v, *out;
  tca_thread_pool* threads;
  tca_backend* backend;
  tca_kept_set* kept;
  tca_kv_pool* pool;
  tca_kv_cache* cache;
} Objects;

/* Stops at the first call that fails. */
#define TRY(call)                        \
  do {                                   \
    const tca_status status = (call);    \
    if (status != TCA_OK) return status; \
  } while (0)

/* bf16 is the upper half of a float. */
static uint16_t to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return (uint16_t)(bits >> 16);
}

static float from_bf16(uint16_t value) {
  const uint32_t bits = (uint32_t)value << 16;
  float result;
  memcpy(&result, &bits, sizeof(result));
  return result;
}

/* Numbers in [-1, 1), the same everywhere. */
static uint16_t* random_tensor(int64_t tokens, int32_t heads) {
  static uint32_t state = 1;
  const int64_t count = tokens * heads * kHeadDim;
  uint16_t* values = malloc((size_t)count * sizeof(uint16_t));
  for (int64_t i = 0; values != NULL && i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values[i] = to_bf16((float)(state >> 8) / 8388608.0f - 1.0f);
  }
  return values;
}

static tca_tensor view(const uint16_t* values, int64_t first, int64_t tokens, int32_t heads) {
  return tca_contiguous(values + first * heads * kHeadDim, TCA_BF16, tokens, heads, kHeadDim);
}

/* Chooses core tokens for the prompt, attends to them, and stores only them. */
static tca_status read_prompt(Objects* o) {
  const tca_selection_rule rule = tca_selection_rule_default();
  /* Shares of the blocks that keep 0, 1, 2, 4, ..., 64 tokens, usually from a profile: head 0 keeps its window only,
   * head 1 keeps a quarter of the blocks whole. */
  const double shares[kKvHeads][kShares] = {{1, 0, 0, 0, 0, 0, 0, 0}, {0.75, 0, 0, 0, 0, 0, 0, 0.25}};
  const tca_tensor q = view(o->q, 0, kTokens, kQueryHeads), k = view(o->k, 0, kTokens, kKvHeads),
                   v = view(o->v, 0, kTokens, kKvHeads);

  const tca_select_params select = {.q = view(o->q, kTokens - rule.probe_queries, rule.probe_queries, kQueryHeads),
                                    .k = k,
                                    .shares = &shares[0][0],
                                    .num_shares = kShares,
                                    .rule = rule};
  TRY(tca_select(o->backend, &select, &o->kept));

  const tca_prefill_params prefill = {.q = q,
                                      .k = k,
                                      .v = v,
                                      .out = tca_mutable_contiguous(o->out, TCA_BF16, kTokens, kQueryHeads, kHeadDim),
                                      .kept = o->kept,
                                      .window = rule.window,
                                      .sinks = rule.sinks};
  TRY(tca_prefill_attention(o->backend, &prefill, 1));
  return tca_kv_cache_store(o->cache, 0, &k, &v, o->kept, rule.window);
}

/* The next token: its K and V are stored first, then its queries see what the cache holds. */
static tca_status decode_one(Objects* o) {
  const tca_tensor k = view(o->k, kTokens, 1, kKvHeads), v = view(o->v, kTokens, 1, kKvHeads);
  TRY(tca_kv_cache_store(o->cache, 0, &k, &v, NULL, 0));
  const tca_decode_params decode = {.q = view(o->q, kTokens, 1, kQueryHeads),
                                    .out = tca_mutable_contiguous(o->out, TCA_BF16, 1, kQueryHeads, kHeadDim),
                                    .cache = o->cache};
  return tca_decode_attention(o->backend, &decode, 1);
}

static tca_status run(Objects* o, const char* backend) {
  const char* name = NULL;
  TRY(tca_thread_pool_create(0, &o->threads));
  TRY(tca_backend_create(backend, o->threads, &o->backend));
  TRY(tca_backend_name(o->backend, &name));
  printf("tca %s, backend %s\n", tca_version(), name);

  const tca_kv_shape shape = {.num_layers = 1, .num_kv_heads = kKvHeads, .head_dim = kHeadDim, .dtype = TCA_BF16};
  TRY(tca_kv_pool_create(o->backend, (size_t)16 << 20, kHeadDim, TCA_BF16, &o->pool));
  TRY(tca_kv_cache_create(o->pool, &shape, &o->cache));
  TRY(read_prompt(o));
  for (int32_t head = 0; head < kKvHeads; ++head) {
    int64_t held = 0;
    TRY(tca_kv_cache_length(o->cache, 0, head, &held));
    printf("KV head %d holds %lld of %d tokens\n", (int)head, (long long)held, kTokens);
  }
  TRY(decode_one(o));
  size_t bytes = 0;
  TRY(tca_kv_cache_bytes_used(o->cache, &bytes));
  printf("KV memory %zu bytes; first output of the next token %.4f\n", bytes, (double)from_bf16(o->out[0]));
  return TCA_OK;
}

int main(int argc, char** argv) {
  Objects o = {.q = random_tensor(kTokens + 1, kQueryHeads),
               .k = random_tensor(kTokens + 1, kKvHeads),
               .v = random_tensor(kTokens + 1, kKvHeads),
               .out = random_tensor(kTokens, kQueryHeads)};
  int failed = o.q == NULL || o.k == NULL || o.v == NULL || o.out == NULL;
  if (failed) {
    fprintf(stderr, "c_api: out of memory\n");
  } else if (run(&o, argc > 1 ? argv[1] : "auto") != TCA_OK) {
    fprintf(stderr, "c_api: %s\n", tca_last_error());
    failed = 1;
  }
  tca_kv_cache_destroy(o.cache);
  tca_kv_pool_destroy(o.pool);
  tca_kept_set_destroy(o.kept);
  tca_backend_destroy(o.backend);
  tca_thread_pool_destroy(o.threads);
  free(o.q);
  free(o.k);
  free(o.v);
  free(o.out);
  return failed;
}
