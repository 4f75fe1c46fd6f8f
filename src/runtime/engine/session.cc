#include "runtime/engine/session.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/check.h"
#include "runtime/engine/selection.h"
#include "runtime/engine/session_impl.h"

namespace tca::runtime {
namespace {

/// Logits held at once when every token's are asked for: 64 MiB of floats.
constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 24;
/// The one whose operations take tensors in GPU memory.
constexpr std::string_view kGpuBackend = "cuda";

std::int64_t pages_for(std::int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

std::int64_t full_pages(const KvShape& shape, std::int64_t tokens) {
  return std::int64_t{shape.num_layers} * shape.num_kv_heads * pages_for(tokens);
}

void check_selector(const SessionOptions& options, const Model& model) {
  const std::string name = options.selector->name();
  check_argument(options.profile == nullptr, "a profile and the selector ", name,
                 " are both given; give the one that is to choose");
  check_supported(&model.device_memory() == &host_memory(), name, " runs on the CPU: --device cpu");
}

SessionOptions checked(SessionOptions options, const Model& model, const Backend& backend) {
  const ModelConfig& config = model.config();
  check_argument(&model.device_memory() == &host_memory() || backend.name() == kGpuBackend,
                 "the model lies in GPU memory, but the backend is ", backend.name(), "; use the backend ",
                 kGpuBackend);
  const std::optional<Stream> stream = backend.stream();
  check_argument(model.device() == nullptr || !stream || stream->device == model.device()->number(),
                 "the model lies on GPU ", model.device() == nullptr ? 0 : model.device()->number(),
                 ", but the backend is on GPU ", stream.value_or(Stream{}).device, "; use one of them for both");
  check_argument(options.kv_pool == nullptr || options.kv_pool->stream() == stream,
                 "kv_pool is bound to another stream than the backend; make it with create_kv_pool() of this backend");
  check_argument(options.attention != AttentionMode::kTca || options.profile != nullptr || options.selector != nullptr,
                 "attention is tca, which needs a profile of the model; make one with tca calibrate");
  if (options.selector != nullptr) check_selector(options, model);
  check_argument(std::isfinite(options.keep) && options.keep > 0 && options.keep <= 1, "keep is ", options.keep,
                 "; expected a share in (0, 1]");
  check_argument(!options.attend || (std::isfinite(*options.attend) && *options.attend > 0 && *options.attend <= 1),
                 "attend is ", options.attend.value_or(0), "; expected a share in (0, 1]");
  check_argument(options.max_context >= 0 && options.max_context <= config.max_position, "max_context is ",
                 options.max_context, ", but the model has positions for ", config.max_position, " tokens");
  check_argument(!options.tolerance || (std::isfinite(*options.tolerance) && *options.tolerance >= 0), "tolerance is ",
                 options.tolerance.value_or(0),
                 "; expected 0 or more: nats of an answer's margin, or a dropped attention mass");
  check_supported(!(options.certify || options.tolerance) || !config.sliding_window || model.device() != nullptr,
                  config.architecture,
                  " has layers with a sliding window, for which there are no certificates yet; "
                  "leave --certify and --tolerance out");
  check_argument(options.certify_rows >= 1, "certify_rows is ", options.certify_rows, "; expected 1 or more");
  check_argument(options.chunk_tokens >= 1, "chunk_tokens is ", options.chunk_tokens, "; expected 1 or more");
  if (options.profile != nullptr) options.profile->validate(model.fingerprint());
  return options;
}

std::shared_ptr<const Selector> selector_of(const SessionOptions& options) {
  if (options.profile == nullptr) return options.selector;
  return std::make_shared<const Selection>(*options.profile, options.keep, options.attend, options.objective,
                                           options.tolerance);
}

std::shared_ptr<const Model> not_null(std::shared_ptr<const Model> model) {
  check_argument(model != nullptr, "the model is null");
  return model;
}

/// A head's share of what comes token by token, before anything was read at once.
constexpr std::int64_t kAssumedTokens = 4096;

}  // namespace

// ---- Opening ----

Session::Impl::Impl(std::shared_ptr<const Model> session_model, const Backend& session_backend,
                    ThreadPool& session_pool, SessionOptions session_options)
    : model(not_null(std::move(session_model))),
      backend(&session_backend),
      pool(&session_pool),
      options(checked(std::move(session_options), *model, *backend)),
      selector(selector_of(options)),
      forward(create_forward(*model, session_pool, options.chunk_tokens, backend->stream())),
      state(initial_state()) {}

Session::Impl::Impl(const Impl& other)
    : model(other.model),
      backend(other.backend),
      pool(other.pool),
      options(other.options),
      selector(other.selector),
      forward(create_forward(*model, *pool, options.chunk_tokens, backend->stream())),
      state(other.state.fork()),
      last_read(other.last_read),
      certificate(other.certificate) {
  state.tokens = other.state.tokens;
}

SessionState Session::Impl::initial_state() const {
  SessionState initial{
      .cache = KvCache(kv_pool(), kv_shape()), .tokens = {}, .probes = {}, .shares = {}, .long_context = false};
  if (selector == nullptr) return initial;
  const ModelConfig& config = model->config();
  initial.probes = ProbeRings(forward->memory(), config.num_layers, selector->rule().probe_queries, config.num_heads,
                              config.head_dim, kv_shape().dtype);
  initial.shares = selector->shares(kAssumedTokens);
  return initial;
}

KvShape Session::Impl::kv_shape() const {
  const ModelConfig& config = model->config();
  return {.num_layers = config.num_layers,
          .num_kv_heads = config.num_kv_heads,
          .head_dim = config.head_dim,
          .dtype = model->precision().kv};
}

std::shared_ptr<KvPool> Session::Impl::kv_pool() const {
  if (options.kv_pool != nullptr) return options.kv_pool;
  const KvShape shape = kv_shape();
  std::size_t bytes = options.kv_budget_bytes;
  if (bytes == 0) {
    const std::size_t page_bytes = backend->create_kv_pool(0, shape.head_dim, shape.dtype)->page_bytes();
    // A damaged config.json may promise any context: in floating point nothing wraps around.
    const double wanted = 2.0 * static_cast<double>(full_pages(shape, most_tokens())) * static_cast<double>(page_bytes);
    bytes = static_cast<std::size_t>(std::min(wanted, 0x1p62));
  }
  return backend->create_kv_pool(bytes, shape.head_dim, shape.dtype);
}

/// Of options and model; on a GPU a sliding window may end the context before.
std::int64_t Session::Impl::most_tokens() const {
  return options.max_context > 0 ? options.max_context : model->config().max_position;
}

/// Whether the rotary embedding is that of long contexts when n tokens are read: one is asked for, or begun with.
bool Session::Impl::is_long(std::int64_t n) const {
  if (!state.tokens.empty()) return state.long_context;
  const std::int64_t context = options.max_context > 0 ? options.max_context : n;
  return model->config().is_long_context(context);
}

// ---- Reading ----

void Session::Impl::check_read(std::span<const std::int32_t> ids, const ReadOptions& read_options) const {
  check_argument(!ids.empty(), "there are no tokens to read: the prompt is empty");
  const auto n = static_cast<std::int64_t>(ids.size());
  const auto past = static_cast<std::int64_t>(state.tokens.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    check_argument(ids[i] >= 0 && ids[i] < model->config().vocab_size, "ids[", i, "] is ", ids[i],
                   ", but the model's vocabulary has ", model->config().vocab_size, " tokens");
  }
  check_argument(past + n <= most_tokens(), "the context would be ", past + n, " tokens (", past, " read before and ",
                 n, " now), but at most ", most_tokens(), " are allowed");
  const std::optional<std::int64_t> window = model->config().sliding_window;
  check_supported(!window || model->device() == nullptr || past + n <= *window, "the context would be ", past + n,
                  " tokens, but ", model->config().architecture, " has a sliding window of ", window.value_or(0),
                  " tokens, which slides on the CPU alone: --device cpu, or stay within the window");
  const std::int64_t short_context = model->config().short_context().value_or(past + n);
  check_supported(is_long(n) || past + n <= short_context, "the context would be ", past + n,
                  " tokens, but it was begun with the rotary embedding for up to ", short_context,
                  "; ask for a longer context (--ctx) before the first token");
  check_argument(read_options.num_logits >= 0 && read_options.num_logits <= n, "num_logits is ",
                 read_options.num_logits, ", but ", n, " tokens are read");
  check_argument(read_options.attention.value_or(options.attention) != AttentionMode::kTca || selector != nullptr,
                 "attention is tca, which needs a profile of the model; make one with tca calibrate");
}

ReadPlan Session::Impl::plan(std::int64_t n, const ReadOptions& read_options) const {
  const AttentionMode mode = read_options.attention.value_or(options.attention);
  if (selector == nullptr || mode == AttentionMode::kFull) return {};
  const bool long_enough = n > std::int64_t{selector->rule().window} + selector->rule().block_size;
  if (mode == AttentionMode::kTca) return {.sparse = long_enough, .thin = true};
  // Where prefill computes over everything, it is memory that is to be had, and decoding that is to be faster.
  const double share = selector->attends_all() ? options.keep : selector->attended_share();
  const std::int64_t break_even = backend->break_even_tokens(share, model->config().head_dim);
  return {.sparse = long_enough && n >= break_even,
          .thin = static_cast<std::int64_t>(state.tokens.size()) + n >= break_even};
}

/// A layer's attention in rows of half a layer's products, which take as many operations.
std::int64_t Session::Impl::attention_units(std::int64_t n, const ReadPlan& read_plan) const {
  const ModelConfig& config = model->config();
  const double q_width = static_cast<double>(config.num_heads) * config.head_dim;
  const double kv_width = static_cast<double>(config.num_kv_heads) * config.head_dim;
  const double hidden = config.hidden_size;
  const double layer = 2 * hidden * (q_width + kv_width) + 3 * hidden * config.mean_inner();
  const auto rows = static_cast<double>(n);
  const double keys =
      (read_plan.sparse ? selector->attended_share() : 1.0) * rows / 2 + static_cast<double>(state.cache.length(0, 0));
  return std::llround(2 * rows * (2 * q_width * keys) / layer);
}

std::span<const float> Session::Impl::read(std::span<const std::int32_t> ids, const ReadOptions& read_options) {
  const auto begin = std::chrono::steady_clock::now();
  check_read(ids, read_options);
  const auto n = static_cast<std::int64_t>(ids.size());
  const ReadPlan read_plan = plan(n, read_options);
  // What calls nobody back cannot be stopped half way, and needs no fork.
  if (n == 1 && !read_options.progress && read_options.observer == nullptr && !read_options.all_logits) {
    return read_token(ids[0], read_plan, read_options.num_logits);
  }
  const std::int64_t units = attention_units(n, read_plan);
  const std::int64_t num_hidden = read_options.all_logits ? n : read_options.num_logits;
  const std::int64_t layers = model->config().num_layers;
  ReadMonitor monitor(read_options.progress, (layers - 1) * 2 * n + n + num_hidden + layers * units);
  const Segment segment = {.ids = ids,
                           .first_position = static_cast<std::int64_t>(state.tokens.size()),
                           .num_hidden = num_hidden,
                           .min_queries = min_queries(n, read_options),
                           .long_context = is_long(n),
                           .cancel = monitor.cancel()};

  SessionState forked = state.fork();
  forked.probes.advance(n);
  forked.long_context = segment.long_context;
  std::unique_ptr<SegmentChooser> chooser;
  if (read_plan.sparse) {
    chooser = selector->begin({.backend = *backend,
                               .model = model->config(),
                               .dtype = kv_shape().dtype,
                               .memory = forward->memory(),
                               .pool = *pool,
                               .first_position = segment.first_position,
                               .num_tokens = n,
                               .long_context = segment.long_context});
    if (selector->shares_by_length()) forked.shares = selector->shares(segment.first_position + n);
  }
  SegmentAttention attention({.backend = *backend,
                              .model = model->config(),
                              .options = options,
                              .selector = selector.get(),
                              .plan = read_plan,
                              .mass_tolerance = mass_tolerance(),
                              .state = forked,
                              .memory = forward->memory(),
                              .monitor = monitor,
                              .observer = read_options.observer,
                              .chooser = chooser.get(),
                              .attention_units = units});
  state.tokens.insert(state.tokens.end(), ids.begin(), ids.end());
  try {
    forward->run(segment, attention);
    give_logits(num_hidden, read_options, monitor);
    monitor.finish();
  } catch (...) {
    state.tokens.resize(static_cast<std::size_t>(segment.first_position));
    forward->release();
    throw;
  }
  // Nothing throws from here on, but for a device that fails.
  forward->release();
  std::swap(forked.tokens, state.tokens);
  state = std::move(forked);
  if (attention.certificate()) certificate = std::move(attention.certificate());
  last_read = attention.stats();
  last_read.tokens = n;
  last_read.sparse = read_plan.sparse;
  if (read_plan.sparse) last_read.predicted_loss = state.shares.predicted_loss;
  if (n == 1) {
    last_read.density = kept_share();
    const Token token{this, ids[0], read_plan.thin};
    thin_sessions(std::span(&token, 1));
  }
  last_read.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  last_read.linear_seconds = last_read.seconds - last_read.select_seconds - last_read.attention_seconds;
  return logits;
}

std::optional<double> Session::Impl::mass_tolerance() const {
  return selector != nullptr && selector->predicts_loss() ? std::nullopt : options.tolerance;
}

/// Queries of the last layer that somebody looks at: all of them, or the probes.
std::int64_t Session::Impl::min_queries(std::int64_t n, const ReadOptions& read_options) const {
  if (read_options.observer != nullptr || options.certify || mass_tolerance()) return n;
  return selector == nullptr ? 1 : selector->queries(n);
}

void Session::Impl::give_logits(std::int64_t rows, const ReadOptions& read_options, ReadMonitor& monitor) {
  const std::int64_t vocab = model->config().vocab_size;
  if (!read_options.all_logits) {
    logits.resize(static_cast<std::size_t>(rows * vocab));
    if (rows > 0) forward->logits(0, rows, logits);
    return;
  }
  const std::int64_t at_once = std::max<std::int64_t>(1, kLogitsAtOnce / vocab);
  for (std::int64_t first = 0; first < rows; first += at_once) {
    const std::int64_t count = std::min(at_once, rows - first);
    logits.resize(static_cast<std::size_t>(count * vocab));
    forward->logits(first, count, logits);
    read_options.all_logits(first, count, logits);
    monitor.check();
  }
  logits = {};
}

void Session::Impl::truncate(std::int64_t num_tokens) {
  check_argument(num_tokens >= 0 && num_tokens <= std::ssize(state.tokens), "truncate: num_tokens is ", num_tokens,
                 ", but ", state.tokens.size(), " tokens were read");
  ProbeRings probes = state.probes.without_newest(std::ssize(state.tokens) - num_tokens);
  // What --tolerance made of them belongs to tokens that leave.
  HeadShares shares;
  if (num_tokens == 0 && selector != nullptr) shares = selector->shares(kAssumedTokens);
  state.cache.truncate(num_tokens);
  // Nothing throws from here on.
  state.tokens.resize(static_cast<std::size_t>(num_tokens));
  state.probes = std::move(probes);
  if (num_tokens > 0) return;
  state.shares = std::move(shares);
}

double Session::Impl::kept_share() const {
  if (state.tokens.empty()) return 1;
  const KvCache& cache = state.cache;
  double held = 0;
  for (std::int32_t layer = 0; layer < cache.shape().num_layers; ++layer) {
    for (std::int32_t h = 0; h < cache.shape().num_kv_heads; ++h) {
      held += static_cast<double>(cache.length(layer, h));
    }
  }
  return held / (static_cast<double>(state.tokens.size()) * cache.shape().num_layers * cache.shape().num_kv_heads);
}

// ---- The public face ----

Session::Session(std::shared_ptr<const Model> model, const Backend& backend, ThreadPool& pool, SessionOptions options)
    : impl_(std::make_unique<Impl>(std::move(model), backend, pool, std::move(options))) {}
Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

std::span<const float> Session::read(std::span<const std::int32_t> ids, const ReadOptions& options) {
  return impl_->read(ids, options);
}

std::span<const float> Session::read_batch(std::span<Session* const> sessions, std::span<const std::int32_t> ids) {
  std::vector<Impl*> impls;
  for (Session* session : sessions) impls.push_back(session == nullptr ? nullptr : session->impl_.get());
  return Impl::read_batch(impls, ids);
}

void Session::truncate(std::int64_t num_tokens) { impl_->truncate(num_tokens); }
std::int64_t Session::truncation_limit() const { return impl_->state.cache.truncation_limit(); }

Session Session::fork() const { return Session(std::make_unique<Impl>(*impl_)); }

std::int64_t Session::num_tokens() const { return static_cast<std::int64_t>(impl_->state.tokens.size()); }
std::int64_t Session::context_limit() const { return std::min(impl_->most_tokens(), impl_->model->longest_context()); }
const std::vector<std::int32_t>& Session::tokens() const { return impl_->state.tokens; }
const KvCache& Session::cache() const { return impl_->state.cache; }
const ReadStats& Session::last_read() const { return impl_->last_read; }
const std::optional<SessionCertificate>& Session::certificate() const { return impl_->certificate; }
const SessionOptions& Session::options() const { return impl_->options; }
const Model& Session::model() const { return *impl_->model; }

std::size_t Session::kv_bytes() const { return impl_->state.cache.bytes_used(); }

std::size_t Session::full_kv_bytes() const {
  return static_cast<std::size_t>(full_pages(impl_->kv_shape(), num_tokens())) *
         impl_->state.cache.pool()->page_bytes();
}

double Session::kept_share() const { return impl_->kept_share(); }

}  // namespace tca::runtime
