// One new token in each of one or more sessions. No fork is made, which for a long past would cost more than the token:
// a savepoint takes the token out again when anything fails before all of them are read.
#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "core/check.h"
#include "core/kv_savepoint.h"
#include "runtime/engine/session_impl.h"
#include "runtime/engine/thinning.h"
#include "runtime/engine/window_layers.h"

namespace tca::runtime {
namespace {

/// Says in front of an error which session of a batch it is about.
template <class Action>
void for_session(std::size_t index, std::size_t count, const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    if (count == 1) throw;
    fail(error.category(), text("sessions[", index, "]: ", error.what()));
  }
}

}  // namespace

std::span<const float> Session::Impl::read_token(std::int32_t id, const ReadPlan& read_plan, std::int64_t num_logits) {
  const auto vocab = static_cast<std::size_t>(model->config().vocab_size);
  const Token token{this, id, read_plan.thin};
  state.long_context = is_long(1);
  logits.resize(num_logits > 0 ? vocab : 0);
  read_tokens(std::span(&token, 1), logits);
  return logits;
}

std::span<const float> Session::Impl::read_batch(std::span<Impl* const> sessions, std::span<const std::int32_t> ids) {
  check_argument(!sessions.empty(), "there are no sessions to read tokens in");
  check_argument(sessions.size() == ids.size(), "there are ", ids.size(), " ids for ", sessions.size(),
                 " sessions; expected one each");
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    Impl* const session = sessions[i];
    check_argument(session != nullptr, "sessions[", i, "] is null");
    check_argument(session->model == sessions[0]->model && session->backend == sessions[0]->backend, "sessions[", i,
                   "] has another model or backend than sessions[0]");
    const auto before = sessions.first(i);
    const auto same = std::find(before.begin(), before.end(), session) - before.begin();
    check_argument(same == std::ssize(before), "sessions[", i, "] is sessions[", same,
                   "] too; expected different ones");
    for_session(i, sessions.size(), [&] { session->check_read(ids.subspan(i, 1), {}); });
    session->state.long_context = session->is_long(1);
    tokens.push_back({session, ids[i], session->plan(1, {}).thin});
  }
  std::vector<float>& logits = sessions[0]->logits;
  logits.resize(sessions.size() * static_cast<std::size_t>(sessions[0]->model->config().vocab_size));
  read_tokens(tokens, logits);
  return logits;
}

/// out [tokens, vocab], or empty: no logits.
void Session::Impl::read_tokens(std::span<const Token> tokens, std::span<float> out) {
  const auto begin = std::chrono::steady_clock::now();
  ReadStats stats = run_tokens(tokens, out);
  for (const Token& token : tokens) token.session->last_read.density = token.session->kept_share();
  thin_sessions(tokens);
  stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  stats.linear_seconds = stats.seconds - stats.attention_seconds;
  for (const Token& token : tokens) {
    stats.density = token.session->last_read.density;
    token.session->last_read = stats;
  }
}

/// How many of the tokens one step takes: `at_once` at most, whose caches have one pool and whose rotary embedding is
/// the same.
std::int64_t Session::Impl::tokens_of_step(std::span<const Token> tokens, std::int64_t at_once) {
  const auto pool = [](const Token& token) { return token.session->state.cache.pool().get(); };
  std::int64_t count = 1;
  const auto fits = [&](const Token& token) {
    return pool(token) == pool(tokens[0]) && token.session->state.long_context == tokens[0].session->state.long_context;
  };
  while (count < std::min(at_once, std::ssize(tokens)) && fits(tokens[static_cast<std::size_t>(count)])) ++count;
  return count;
}

/// A session with one more token, which is taken back at the end unless keep() was called. Its query may already lie in
/// the slot of the ring that is next, where the next token's will lie.
class Session::Impl::Trial {
 public:
  Trial(Impl& session, std::int32_t id)
      : session_(&session), savepoint_(session.state.cache), place_(session.state.probes.place()) {
    session.state.tokens.push_back(id);
  }
  Trial(Trial&& other) noexcept
      : session_(std::exchange(other.session_, nullptr)),
        savepoint_(std::move(other.savepoint_)),
        place_(other.place_) {}
  Trial& operator=(Trial&&) = delete;
  ~Trial() {
    if (session_ == nullptr) return;
    session_->state.tokens.pop_back();
    session_->state.probes.set_place(place_);
  }
  void keep() noexcept {
    savepoint_.keep();
    session_ = nullptr;
  }

 private:
  Impl* session_;
  KvSavepoint savepoint_;
  ProbeRings::Place place_;
};

/// Runs the tokens, all or none, and returns the attention's time.
ReadStats Session::Impl::run_tokens(std::span<const Token> tokens, std::span<float> out) {
  const std::int64_t at_once = tokens[0].session->forward->max_decode_rows();
  const std::size_t vocab = out.size() / tokens.size();
  ReadStats stats{.tokens = 1};
  // What no query sees any more goes before there is something to take back.
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    Impl& session = *tokens[i].session;
    if (session.model->device() != nullptr) continue;
    for_session(i, tokens.size(), [&] { trim_windows(session.state.cache, session.model->config()); });
  }
  std::vector<Trial> trials;
  trials.reserve(tokens.size());
  // The budget first: what it lacks is known before anything is computed.
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    for_session(i, tokens.size(), [&] {
      trials.emplace_back(*tokens[i].session, tokens[i].id);
      tokens[i].session->state.cache.reserve(1);
    });
  }
  for (std::size_t done = 0; done < tokens.size();) {
    const auto group = tokens.subspan(done, static_cast<std::size_t>(tokens_of_step(tokens.subspan(done), at_once)));
    const auto rows = out.subspan(done * vocab, group.size() * vocab);
    if (at_once > 0) {
      decode_tokens(group, rows);
    } else {
      stats.attention_seconds += group[0].session->run_token(group[0].id, rows).attention_seconds;
    }
    done += group.size();
  }
  for (Trial& trial : trials) trial.keep();
  return stats;
}

/// By the device's own step, attention included.
void Session::Impl::decode_tokens(std::span<const Token> tokens, std::span<float> out) {
  std::vector<DecodeRow> rows;
  for (const Token& token : tokens) {
    SessionState& state = token.session->state;
    rows.push_back({.id = token.id,
                    .position = std::ssize(state.tokens) - 1,
                    .cache = &state.cache,
                    .probes = state.probes.targets(),
                    .probe_slot = state.probes.place().next_slot,
                    .long_context = state.long_context});
  }
  tokens[0].session->forward->decode(rows, out);
  for (const Token& token : tokens) token.session->state.probes.advance(1);
}

/// By the forward pass of a segment of one token. Selects nothing.
ReadStats Session::Impl::run_token(std::int32_t id, std::span<float> out) {
  const Progress no_progress;
  ReadMonitor monitor(no_progress, 0);
  SegmentAttention attention({.backend = *backend,
                              .model = model->config(),
                              .options = options,
                              .selector = selector.get(),
                              .plan = {},
                              .state = state,
                              .memory = forward->memory(),
                              .monitor = monitor});
  state.probes.advance(1);
  forward->run({.ids = std::span(&id, 1),
                .first_position = std::ssize(state.tokens) - 1,
                .num_hidden = out.empty() ? 0 : 1,
                .long_context = state.long_context},
               attention);
  if (!out.empty()) forward->logits(0, 1, out);
  return attention.stats();
}

/// Where it is due. Their tokens are read: budget or memory that do not suffice leave the tails for the next time.
void Session::Impl::thin_sessions(std::span<const Token> tokens) {
  try {
    std::vector<ThinParams> layers;
    for (const Token& token : tokens) {
      if (!token.thin) continue;
      Impl& session = *token.session;
      const ModelConfig& config = session.model->config();
      for (std::int32_t layer = 0; layer < config.num_layers; ++layer) {
        if (session.model->device() == nullptr && config.layers[static_cast<std::size_t>(layer)].window) continue;
        layers.push_back({.cache = &session.state.cache,
                          .layer = layer,
                          .shares = session.state.shares.keep[static_cast<std::size_t>(layer)],
                          .rule = session.selector->rule(),
                          .probes = &session.state.probes});
      }
    }
    if (!layers.empty()) thin_tails(*tokens[0].session->backend, layers);
  } catch (const Error& error) {
    if (error.category() != ErrorCategory::kOutOfBudget) throw;
  } catch (const std::bad_alloc&) {
    return;  // the same of the host's memory
  }
}

}  // namespace tca::runtime
