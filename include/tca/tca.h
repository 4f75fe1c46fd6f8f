/* libtca from C: the same operations as the C++ headers, where their mathematics is described (tca/attention.h).
 *
 * Every call that can fail returns a tca_status; tca_last_error() then says what was wrong, with the parameter and its
 * value. A null handle, view or result pointer is TCA_INVALID_ARGUMENT. On failure a handle result is set to NULL and
 * nothing else has changed, also when memory ran out halfway, so that the call may be tried again; but what an
 * operation computes (out, lse, scores, deltas) may be there in part, and a GPU that has failed loses what was in its
 * memory. Handles are destroyed by their owner, in any order: what they depend on lives as long as they do.
 * destroy(NULL) does nothing. Handles may be used from several threads, except that a tca_kv_cache has one writer at a
 * time.
 *
 * L: tokens of a segment, Hq: query heads, Hk: KV heads (Hk divides Hq), d: head_dim. Memory is in bytes, positions
 * and lengths are in tokens, strides are in elements. Structs are to be zeroed before their fields are set, by an
 * initialiser or memset, so that fields of later versions are zero:
 *
 *   tca_prefill_params params = {.q = q, .k = k, .v = v, .out = out, .kept = kept, .window = 256, .sinks = 4};
 *   if (tca_prefill_attention(backend, &params, 1) != TCA_OK) fprintf(stderr, "%s\n", tca_last_error());
 */
#ifndef TCA_TCA_H_
#define TCA_TCA_H_

#include <stddef.h>
#include <stdint.h>

#include "tca/version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* TCA_..._MIN_ENUM is no value to pass: it gives an enum all of int's values, so that whatever number a caller may have
 * set can be read, and is refused by name. (INT32_MAX would leave out negative ones in C++.) */

/* ---- Status ---------------------------------------------------------------------------------------------------- */

typedef enum tca_status {
  TCA_OK = 0,
  TCA_INVALID_ARGUMENT = 1, /* a parameter is out of its documented range */
  TCA_UNSUPPORTED = 2,      /* valid, but not for this build, backend or machine */
  TCA_BAD_FILE = 3,         /* a file's content is not what its format says */
  TCA_IO = 4,               /* the operating system refused */
  TCA_OUT_OF_BUDGET = 5,    /* a KV pool's bytes are used up */
  TCA_CANCELLED = 6,        /* the caller asked to stop */
  TCA_OUT_OF_MEMORY = 7,
  TCA_INTERNAL = 8, /* a defect of the library */
  TCA_STATUS_MIN_ENUM = INT32_MIN
} tca_status;

/* "0.1.0". */
TCA_API const char* tca_version(void);
/* The constant's name without its prefix, in lower case: "ok", "invalid_argument", ... */
TCA_API const char* tca_status_name(tca_status status);
/* What the calling thread's latest failed call reported; "" before the first. Valid until its next failure. */
TCA_API const char* tca_last_error(void);

/* Text comes to the caller's memory: with its terminating 0 where `capacity` bytes have room for it, else cut; *size is
 * its whole length without the 0. out may be NULL when capacity is 0. */

/* ---- Tensors --------------------------------------------------------------------------------------------------- */

typedef enum tca_dtype { TCA_F32 = 0, TCA_BF16 = 1, TCA_F16 = 2, TCA_DTYPE_MIN_ENUM = INT32_MIN } tca_dtype;

/* Bytes of an element, and "fp32", "bf16", "fp16"; 0 and "unknown" for anything else. */
TCA_API size_t tca_dtype_size(tca_dtype dtype);
TCA_API const char* tca_dtype_name(tca_dtype dtype);

/* Read-only view of [num_tokens, num_heads, head_dim]; head_dim is contiguous. */
typedef struct tca_tensor {
  const void* data;
  tca_dtype dtype;
  int64_t num_tokens;
  int32_t num_heads;
  int32_t head_dim;
  int64_t token_stride; /* elements from one token to the next */
  int64_t head_stride;  /* elements from one head to the next */
} tca_tensor;

/* The same, writable. */
typedef struct tca_mutable_tensor {
  void* data;
  tca_dtype dtype;
  int64_t num_tokens;
  int32_t num_heads;
  int32_t head_dim;
  int64_t token_stride;
  int64_t head_stride;
} tca_mutable_tensor;

/* Views of dense row-major memory [num_tokens, num_heads, head_dim]. */
TCA_API tca_tensor tca_contiguous(const void* data, tca_dtype dtype, int64_t num_tokens, int32_t num_heads,
                                  int32_t head_dim);
TCA_API tca_mutable_tensor tca_mutable_contiguous(void* data, tca_dtype dtype, int64_t num_tokens, int32_t num_heads,
                                                  int32_t head_dim);
/* Tokens [begin, begin + count) of a view, and the first element of one token's head. Nothing is checked. */
TCA_API tca_tensor tca_tensor_tokens(tca_tensor tensor, int64_t begin, int64_t count);
TCA_API tca_mutable_tensor tca_mutable_tensor_tokens(tca_mutable_tensor tensor, int64_t begin, int64_t count);
TCA_API const void* tca_tensor_row(tca_tensor tensor, int64_t token, int32_t head);
TCA_API void* tca_mutable_tensor_row(tca_mutable_tensor tensor, int64_t token, int32_t head);

/* ---- Threads and backends -------------------------------------------------------------------------------------- */

typedef struct tca_thread_pool tca_thread_pool;
typedef struct tca_backend tca_backend;

/* num_threads <= 0: one per CPU the process may use. The calling thread is one of them. */
TCA_API tca_status tca_thread_pool_create(int num_threads, tca_thread_pool** out);
TCA_API tca_status tca_thread_pool_num_threads(const tca_thread_pool* pool, int* out);
/* Calls task(index, worker, user) for index in [0, count), worker in [0, num_threads), and returns when all are done. A
 * task must not throw or jump out. */
typedef void (*tca_task)(int64_t index, int worker, void* user);
TCA_API tca_status tca_thread_pool_parallel_for(tca_thread_pool* pool, int64_t count, tca_task task, void* user);
TCA_API void tca_thread_pool_destroy(tca_thread_pool* pool);

/* A queue of one GPU: what is given to it runs in the order it was given. It must live as long as what was made on it.
 */
typedef struct tca_stream {
  int32_t device; /* as CUDA counts them */
  void* handle;   /* a cudaStream_t; NULL: CUDA's legacy default stream */
} tca_stream;

/* The backends that are usable here, fastest first: index 0, 1, ...; *out is NULL behind the last. */
TCA_API tca_status tca_available_backend(size_t index, const char** out);
/* name: "reference", "cpu", "cuda", "cuda:1" for another GPU than the first, or "auto" (the environment variable
 * TCA_BACKEND, else "cpu"). TCA_UNSUPPORTED lists what this build has. Without a stream all GPU backends share one of
 * the library's for each GPU. Tensors and lse lie in host memory (pinned and managed memory counts as that), or in the
 * memory of the backend's GPU; all other arrays lie in host memory. Calls of a GPU backend return when their work is
 * queued on its stream if all tensors and lse lie in its memory, and when it is done otherwise (tca/backend.h). */
TCA_API tca_status tca_backend_create(const char* name, tca_thread_pool* pool, tca_backend** out);
/* The same on a stream of yours; name is "cuda", or "cuda:N" with N = stream->device. */
TCA_API tca_status tca_backend_create_on_stream(const char* name, tca_thread_pool* pool, const tca_stream* stream,
                                                tca_backend** out);
/* Where its work is queued: *found is 1 and *out the stream, or *found is 0 on the host. */
TCA_API tca_status tca_backend_stream(const tca_backend* backend, int* found, tca_stream* out);
/* Returns when all that its stream was given is done. */
TCA_API tca_status tca_backend_synchronize(const tca_backend* backend);
/* Valid as long as the backend. */
TCA_API tca_status tca_backend_name(const tca_backend* backend, const char** out);
/* What its kernels were dispatched to, e.g. "AVX3_DL" or "sm_90a"; valid as long as the backend. */
TCA_API tca_status tca_backend_isa(const tca_backend* backend, const char** out);
/* *out is 1 when the backend serves this dtype and head_dim, else 0. */
TCA_API tca_status tca_backend_supports(const tca_backend* backend, tca_dtype dtype, int32_t head_dim, int* out);
/* Shortest segment for which sparse prefill is expected to be no slower than dense, at a kept share in [0, 1]. */
TCA_API tca_status tca_backend_break_even_tokens(const tca_backend* backend, double kept_share, int32_t head_dim,
                                                 int64_t* out);
TCA_API void tca_backend_destroy(tca_backend* backend);

/* Stops a running prefill from another thread. */
typedef struct tca_cancel tca_cancel;
TCA_API tca_status tca_cancel_create(tca_cancel** out);
/* Prefills that were given the handle return TCA_CANCELLED within milliseconds; new ones at once. */
TCA_API tca_status tca_cancel_request(tca_cancel* cancel);
/* The handle may be used again. */
TCA_API tca_status tca_cancel_reset(tca_cancel* cancel);
/* Not while a prefill uses it. */
TCA_API void tca_cancel_destroy(tca_cancel* cancel);

/* ---- Profiles -------------------------------------------------------------------------------------------------- */

typedef enum tca_block_order {
  TCA_MASS_DISPERSION = 0,
  TCA_SIMPSON = 1,
  TCA_TOKENS = 2, /* no blocks: a head's kept share goes to the highest scores of the whole segment */
  TCA_BLOCK_ORDER_MIN_ENUM = INT32_MIN
} tca_block_order;

/* What a key is worth to several probes. */
typedef enum tca_probe_reduce {
  TCA_PROBE_MEAN = 0, /* the attention that all of them give to it, on average */
  TCA_PROBE_MAX = 1,  /* the most that one of them gives to it */
  TCA_PROBE_REDUCE_MIN_ENUM = INT32_MIN
} tca_probe_reduce;

/* How core tokens are chosen. tca_selection_rule_default() has the usual values. */
typedef struct tca_selection_rule {
  int32_t block_size;    /* b: a power of two in [8, 256] */
  int32_t window;        /* >= 1 */
  int32_t sinks;         /* >= 0 */
  int32_t probe_queries; /* >= 1 */
  int32_t pool_width;    /* odd, >= 1 */
  tca_block_order order;
} tca_selection_rule;

TCA_API tca_selection_rule tca_selection_rule_default(void);

/* Shares of blocks that keep 0, 1, 2, 4, ..., block_size tokens, log2(block_size) + 2 numbers: every block keeps all of
 * its tokens, or none does. */
TCA_API tca_status tca_block_shares_full(int32_t block_size, double* out);
TCA_API tca_status tca_block_shares_window(int32_t block_size, double* out);
/* Expected share of a block's tokens kept, in [0, 1]. */
TCA_API tca_status tca_block_shares_kept_share(const double* shares, int32_t num_shares, double* out);

/* What a profile belongs to (tca::ModelFingerprint). Strings are valid as long as what they came from. */
typedef struct tca_model_fingerprint {
  const char* architecture;
  int32_t num_layers;
  int32_t num_heads;
  int32_t num_kv_heads;
  int32_t head_dim;
  const char* rope;
  int32_t vocab_size;
  const char* weights_sha256;
} tca_model_fingerprint;

/* One line for messages. */
TCA_API tca_status tca_model_fingerprint_describe(const tca_model_fingerprint* model, char* out, size_t capacity,
                                                  size_t* size);

typedef struct tca_profile tca_profile;

/* TCA_BAD_FILE names file, field and value. */
TCA_API tca_status tca_profile_load(const char* path, tca_profile** out);
/* The same from JSON text of `size` bytes; name stands for the file in messages. */
TCA_API tca_status tca_profile_parse(const char* json, size_t size, const char* name, tca_profile** out);
TCA_API tca_status tca_profile_save(const tca_profile* profile, const char* path);
TCA_API tca_status tca_profile_to_json(const tca_profile* profile, char* out, size_t capacity, size_t* size);
TCA_API tca_status tca_profile_model(const tca_profile* profile, tca_model_fingerprint* out);
/* TCA_INVALID_ARGUMENT with both fingerprints when they differ. */
TCA_API tca_status tca_profile_validate(const tca_profile* profile, const tca_model_fingerprint* actual);

/* Where a profile comes from. Strings are valid as long as it. */
typedef struct tca_provenance {
  const char* text_sha256;
  int64_t calibration_tokens;
  uint64_t seed;
  const char* version; /* of the library that wrote it */
  const char* date;    /* YYYY-MM-DD */
} tca_provenance;

TCA_API tca_status tca_profile_provenance(const tca_profile* profile, tca_provenance* out);

/* One configuration of a profile. */
typedef struct tca_budget {
  size_t index;            /* among the profile's */
  const char* objective;   /* "tail-risk" or "paper"; valid as long as the profile */
  double budget;           /* asked: mean share held while calibrating, window included */
  double kept_share;       /* found: mean over layers and KV heads, without the window */
  tca_selection_rule rule; /* to be used with it */
  int32_t num_layers;
  int32_t num_kv_heads;
  int32_t num_shares; /* entries for one head: log2(block_size) + 2 */
} tca_budget;

typedef enum tca_share_kind {
  TCA_KEEP = 0,   /* what stays in memory */
  TCA_ATTEND = 1, /* what prefill computes over */
  TCA_SHARE_KIND_MIN_ENUM = INT32_MIN
} tca_share_kind;

/* Configurations, ascending by objective, then budget: index in [0, *out). */
TCA_API tca_status tca_profile_num_budgets(const tca_profile* profile, size_t* out);
TCA_API tca_status tca_profile_budget(const tca_profile* profile, size_t index, tca_budget* out);
/* The objective's largest whose kept share is not above keep, in [0, 1], else its smallest. */
TCA_API tca_status tca_profile_pick(const tca_profile* profile, double keep, const char* objective, tca_budget* out);
/* What to keep of an objective where nobody asks: the share that the profile says was measured, then *measured_on says
 * on what, as long as the profile lives; else 0.39, and *measured_on is null. */
TCA_API tca_status tca_profile_usual_keep(const tca_profile* profile, const char* objective, double* keep,
                                          const char** measured_on);
/* One layer's shares, to out [num_kv_heads, num_shares]. */
TCA_API tca_status tca_profile_shares(const tca_profile* profile, size_t index, int32_t layer, tca_share_kind kind,
                                      double* out);

/* What calibration found for one head. */
typedef struct tca_head_profile {
  double risk;         /* p95 of the dropped attention mass */
  double mean_dropped; /* mean of the same */
  int attends_more;    /* 1: TCA_ATTEND is a configuration of its own, 0: it is TCA_KEEP */
} tca_head_profile;

TCA_API tca_status tca_profile_head(const tca_profile* profile, size_t index, int32_t layer, int32_t kv_head,
                                    tca_head_profile* out);
/* A head's next richer configuration of the objective after current [num_shares], to out [num_shares]. */
TCA_API tca_status tca_profile_richer(const tca_profile* profile, const double* current, int32_t num_shares,
                                      int32_t layer, int32_t kv_head, const char* objective, double* out);

/* The objective where nobody asks: "answer-risk" where the profile was calibrated by answers, else "tail-risk". */
TCA_API tca_status tca_profile_usual_objective(const tca_profile* profile, const char** out);

/* What heads keep of a segment, by the curves of answer-risk. */
typedef struct tca_allocation {
  double held_share;       /* mean over heads, sinks and windows included */
  double risk;             /* expected loss of an answer's logit margin, nats */
  tca_selection_rule rule; /* to be used with it: order TCA_TOKENS */
} tca_allocation;

/* The least risk for a mean of at most keep, in [0, 1], of num_tokens tokens a head; more where that leaves more risk
 * than max_risk (INFINITY: never). Shares of the tokens that are neither sinks nor in the window go to kept_shares
 * [num_layers, num_kv_heads], windows to windows [num_layers, num_kv_heads]. */
TCA_API tca_status tca_profile_allocate(const tca_profile* profile, double keep, int64_t num_tokens, double max_risk,
                                        double* kept_shares, int32_t* windows, tca_allocation* out);

/* Probes for tca_select with probes_follow, before RoPE: rotate them to `distance` tokens behind the segment's last. */
typedef struct tca_query_bank {
  const float* queries; /* [num_queries, num_heads, head_dim]; valid as long as the profile */
  int32_t num_queries;
  int32_t distance;
  tca_probe_reduce reduce; /* for tca_select */
} tca_query_bank;

TCA_API tca_status tca_profile_bank(const tca_profile* profile, int32_t layer, tca_query_bank* out);
TCA_API void tca_profile_destroy(tca_profile* profile);

/* ---- Kept sets ------------------------------------------------------------------------------------------------- */

/* Core tokens of a segment, ragged per KV head. Immutable. */
typedef struct tca_kept_set tca_kept_set;

/* A set of your own: offsets [num_kv_heads + 1] ascend from 0; positions [offsets[num_kv_heads]] ascend within a head
 * and lie in [0, num_tokens). Both are copied. */
TCA_API tca_status tca_kept_set_create(int64_t num_tokens, int32_t num_kv_heads, const int64_t* offsets,
                                       const int32_t* positions, tca_kept_set** out);
TCA_API tca_status tca_kept_set_num_tokens(const tca_kept_set* set, int64_t* out);
TCA_API tca_status tca_kept_set_num_kv_heads(const tca_kept_set* set, int32_t* out);
/* One head's positions, ascending; valid as long as the set. What a GPU chose stays there until this is called first,
 * which waits for it. */
TCA_API tca_status tca_kept_set_head(const tca_kept_set* set, int32_t kv_head, const int32_t** positions,
                                     int64_t* count);
TCA_API void tca_kept_set_destroy(tca_kept_set* set);

/* ---- KV cache -------------------------------------------------------------------------------------------------- */

typedef struct tca_kv_pool tca_kv_pool;
typedef struct tca_kv_cache tca_kv_cache;

#define TCA_PAGE_TOKENS 64

/* Where a pool's pages lie, and the order of elements in them. */
typedef enum tca_page_layout {
  TCA_PAGE_ROWS = 0,     /* host memory; K and V row-major */
  TCA_PAGE_SWIZZLED = 1, /* GPU memory; the same, the 16-byte chunks of each row permuted */
  TCA_PAGE_LAYOUT_MIN_ENUM = INT32_MIN
} tca_page_layout;

typedef struct tca_kv_pool_info {
  size_t budget_bytes;
  size_t used_bytes;
  size_t page_bytes; /* of TCA_PAGE_TOKENS tokens of one KV head */
  int64_t free_pages;
  int32_t head_dim;
  tca_dtype dtype;
  tca_page_layout layout;
  tca_stream stream; /* of pages in GPU memory, on which they are written */
} tca_kv_pool_info;

typedef struct tca_kv_shape {
  int32_t num_layers;
  int32_t num_kv_heads;
  int32_t head_dim;
  tca_dtype dtype;
} tca_kv_shape;

/* Slots [0, count) are filled. */
typedef struct tca_kv_page {
  const void* k;            /* [TCA_PAGE_TOKENS, head_dim] in the pool's dtype, 64-byte aligned */
  const void* v;            /* the same */
  const int32_t* positions; /* [count], ascending */
  int32_t count;
} tca_kv_page;

/* A bytes budget for any number of caches; head_dim 1 to 65536. Its pages lie where the backend reads them, in GPU
 * memory or the host's, and are written on its stream; backend may be NULL for host memory. */
TCA_API tca_status tca_kv_pool_create(const tca_backend* backend, size_t budget_bytes, int32_t head_dim,
                                      tca_dtype dtype, tca_kv_pool** out);
TCA_API tca_status tca_kv_pool_get_info(const tca_kv_pool* pool, tca_kv_pool_info* out);
TCA_API void tca_kv_pool_destroy(tca_kv_pool* pool);

/* The KV cache of one sequence. head_dim and dtype are the pool's. */
TCA_API tca_status tca_kv_cache_create(tca_kv_pool* pool, const tca_kv_shape* shape, tca_kv_cache** out);
/* A second sequence with the same past; pages are shared until one side writes to them. */
TCA_API tca_status tca_kv_cache_fork(const tca_kv_cache* cache, tca_kv_cache** out);
TCA_API void tca_kv_cache_destroy(tca_kv_cache* cache);

TCA_API tca_status tca_kv_cache_shape(const tca_kv_cache* cache, tca_kv_shape* out);
/* A handle of its own to the pool. */
TCA_API tca_status tca_kv_cache_pool(const tca_kv_cache* cache, tca_kv_pool** out);
/* Tokens the layer has seen, dropped ones included: the position of the next. */
TCA_API tca_status tca_kv_cache_num_tokens(const tca_kv_cache* cache, int32_t layer, int64_t* out);
/* Tokens held for one head. */
TCA_API tca_status tca_kv_cache_length(const tca_kv_cache* cache, int32_t layer, int32_t kv_head, int64_t* out);
/* Position of the token in slot `slot` of a head's list, slot in [0, length). */
TCA_API tca_status tca_kv_cache_position(const tca_kv_cache* cache, int32_t layer, int32_t kv_head, int64_t slot,
                                         int32_t* out);
/* First slot that was not yet offered to tca_kv_cache_thin(); from here on everything is held. */
TCA_API tca_status tca_kv_cache_tail_begin(const tca_kv_cache* cache, int32_t layer, int32_t kv_head, int64_t* out);
TCA_API tca_status tca_kv_cache_num_pages(const tca_kv_cache* cache, int32_t layer, int32_t kv_head, int32_t* out);
/* Valid until the cache is written to or destroyed. */
TCA_API tca_status tca_kv_cache_page(const tca_kv_cache* cache, int32_t layer, int32_t kv_head, int32_t index,
                                     tca_kv_page* out);
/* Bytes of the pages it refers to, shared ones in full. */
TCA_API tca_status tca_kv_cache_bytes_used(const tca_kv_cache* cache, size_t* out);
/* Pages that storing num_tokens more in all layers could need at most. */
TCA_API tca_status tca_kv_cache_pages_needed(const tca_kv_cache* cache, int64_t num_tokens, int64_t* out);

/* Adds a segment k, v [n, Hk, d] of any dtype after what is there. With kept (may be NULL) only its tokens and the last
 * `window` are stored, and the tail begins with that window. TCA_OUT_OF_BUDGET names bytes asked and free. */
TCA_API tca_status tca_kv_cache_store(tca_kv_cache* cache, int32_t layer, const tca_tensor* k, const tca_tensor* v,
                                      const tca_kept_set* kept, int32_t window);
/* Takes the pages that storing num_tokens more tokens in all layers needs, so that this cannot run out of budget, and
 * gives back what was reserved beyond that. */
TCA_API tca_status tca_kv_cache_reserve(tca_kv_cache* cache, int64_t num_tokens);
/* Of the first `count` tokens of a head's tail keeps those named: keep [num_keep], ascending offsets in [0, count). */
TCA_API tca_status tca_kv_cache_thin(tca_kv_cache* cache, int32_t layer, int32_t kv_head, int64_t count,
                                     const int32_t* keep, size_t num_keep);
/* Takes the newest tokens back: every layer has seen num_tokens then, and holds what it held when it last had that
 * many. What was thinned or left out by a kept set does not come back: num_tokens is 0, or at least the limit below. */
TCA_API tca_status tca_kv_cache_truncate(tca_kv_cache* cache, int64_t num_tokens);
/* What the layers had seen, at most, when tokens were last thinned or stored with a kept set. */
TCA_API tca_status tca_kv_cache_truncation_limit(const tca_kv_cache* cache, int64_t* out);
/* Drops everything. */
TCA_API tca_status tca_kv_cache_clear(tca_kv_cache* cache);

/* Writes the cache and metadata_size (up to 2^30) bytes of your own to a file that appears whole or not at all. */
TCA_API tca_status tca_kv_cache_save(const tca_kv_cache* cache, const char* path, const char* metadata,
                                     size_t metadata_size);
/* Sees a file's shape and metadata before memory is taken for it. Anything but TCA_OK refuses the file, and is what
 * tca_kv_cache_load returns. It must not throw or jump out. */
typedef tca_status (*tca_kv_accept)(const tca_kv_shape* shape, const char* metadata, size_t metadata_size, void* user);
/* Reads it back. accept may be NULL. TCA_BAD_FILE for damaged content. */
TCA_API tca_status tca_kv_cache_load(const char* path, tca_kv_pool* pool, tca_kv_accept accept, void* user,
                                     tca_kv_cache** out);

/* ---- Operations ------------------------------------------------------------------------------------------------ */

/* In all of them: past_cache is NULL when the segment begins the sequence, else the segment follows all that the
 * cache's layer has seen; scale 0 means 1 / sqrt(d); q, k, v and the cache have one dtype, out any. */

/* Importance of every key of a segment for the last P queries. */
typedef struct tca_probe_params {
  tca_tensor q; /* [P, Hq, d], P <= L; any P with probes_follow */
  tca_tensor k; /* [L, Hk, d] */
  const tca_kv_cache* past_cache;
  int32_t past_layer;
  int32_t pool_width; /* odd */
  float scale;
  int probes_follow; /* not 0: the probes are queries of what may come after the segment, and see all of it */
  tca_probe_reduce reduce;
} tca_probe_params;

/* Chooses the core tokens. */
typedef struct tca_select_params {
  tca_tensor q; /* [P, Hq, d]: the last P = min(L, rule.probe_queries) queries; any P with probes_follow */
  tca_tensor k; /* [L, Hk, d] */
  const tca_kv_cache* past_cache;
  int32_t past_layer;
  const double* shares; /* [Hk, num_shares]: of blocks keeping 0, 1, 2, 4, ..., block_size tokens; each row sums to 1 */
  int32_t num_shares;   /* log2(rule.block_size) + 2 */
  tca_selection_rule rule;
  float scale;
  int probes_follow;       /* as in tca_probe_params */
  tca_probe_reduce reduce; /* as in tca_probe_params */
  const int32_t* windows;  /* NULL, or with TCA_TOKENS [Hk]: so many of the last tokens stay whatever their score */
} tca_select_params;

/* Attention of a segment: query i sees the past, and j <= i that is kept, or in its window, or (without past) a sink.
 */
typedef struct tca_prefill_params {
  tca_tensor q;           /* [n, Hq, d]: the segment's last n queries, 1 <= n <= L */
  tca_tensor k;           /* [L, Hk, d] */
  tca_tensor v;           /* [L, Hk, d] */
  tca_mutable_tensor out; /* [n, Hq, d]; may be the memory of q */
  const tca_kv_cache* past_cache;
  int32_t past_layer;
  const tca_kept_set* kept; /* NULL: dense causal attention */
  int32_t window;
  int32_t sinks;
  float scale;
  float* lse;               /* NULL or [n, Hq]: natural logarithm of the softmax denominator */
  const tca_cancel* cancel; /* may be NULL */
} tca_prefill_params;

/* Attention of the last n tokens of a cache, which are stored already. */
typedef struct tca_decode_params {
  tca_tensor q;           /* [n, Hq, d], n >= 1 */
  tca_mutable_tensor out; /* [n, Hq, d]; may be the memory of q */
  const tca_kv_cache* cache;
  int32_t layer;
  float scale;
  float* lse; /* NULL or [n, Hq] */
} tca_decode_params;

/* Mean attention probability that P recent queries gave to the first `count` tokens of a head's tail. */
typedef struct tca_tail_score_params {
  tca_tensor q;     /* [P, Hq, d] */
  const float* lse; /* [P, Hq], from decode or prefill */
  const tca_kv_cache* cache;
  int32_t layer;
  int32_t kv_head;
  int64_t count;
  float scale;
  float* out; /* [count] */
} tca_tail_score_params;

/* Attention mass of a segment that sampled rows lose under dense softmax over past and segment. */
typedef struct tca_certify_params {
  tca_tensor q;        /* [R, Hq, d] */
  const int32_t* rows; /* [R]: positions of the queries in the segment */
  tca_tensor k;        /* [L, Hk, d] */
  tca_tensor v;        /* [L, Hk, d] */
  const tca_kv_cache* past_cache;
  int32_t past_layer;
  const tca_kept_set* kept; /* NULL: dense, nothing is lost */
  int32_t window;
  int32_t sinks;
  float scale;
} tca_certify_params;

typedef struct tca_head_certificate {
  double mean_delta;
  double p95_delta; /* nearest rank */
  double max_delta;
  double output_norm; /* mean ||o|| of the rows' dense outputs; 0 where kept is NULL */
  double bound;       /* on a row's output error: 2 p95_delta max ||v||, over the segment and the past */
} tca_head_certificate;

/* out [Hk, L]. */
TCA_API tca_status tca_probe_scores(const tca_backend* backend, const tca_probe_params* params, float* out);
TCA_API tca_status tca_select(const tca_backend* backend, const tca_select_params* params, tca_kept_set** out);
/* batch [count]: sequences of different lengths; the same results as one by one. */
TCA_API tca_status tca_prefill_attention(const tca_backend* backend, const tca_prefill_params* batch, size_t count);
TCA_API tca_status tca_decode_attention(const tca_backend* backend, const tca_decode_params* batch, size_t count);
TCA_API tca_status tca_tail_scores(const tca_backend* backend, const tca_tail_score_params* batch, size_t count);
/* out [Hk]; deltas is NULL or [R, Hq]: the dropped mass of each sampled row. */
TCA_API tca_status tca_certify(const tca_backend* backend, const tca_certify_params* params, tca_head_certificate* out,
                               float* deltas);

#ifdef __cplusplus
}
#endif

#endif /* TCA_TCA_H_ */
