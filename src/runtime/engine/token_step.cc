// One new token in each of one or more sessions. No fork is made, which for a long past would cost more than the token:
// what the tokens need is reserved first, and after that nothing runs out.
#include <algorithm>
#include <chrono>
#include <utility>

#include "core/check.h"
#include "runtime/engine/session_impl.h"
#include "runtime/engine/thinning.h"

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

/// How many of the tokens one step takes: `at_once` at most, whose caches have one pool.
std::int64_t Session::Impl::tokens_of_step(std::span<const Token> tokens, std::int64_t at_once) {
  const auto pool = [](const Token& token) { return token.session->state.cache.pool().get(); };
  std::int64_t count = 1;
  while (count < std::min(at_once, std::ssize(tokens)) &&
         pool(tokens[static_cast<std::size_t>(count)]) == pool(tokens[0])) {
    ++count;
  }
  return count;
}

/// Runs the tokens, all or none, and returns the attention's time.
ReadStats Session::Impl::run_tokens(std::span<const Token> tokens, std::span<float> out) {
  const std::int64_t at_once = tokens[0].session->forward->max_decode_rows();
  const std::size_t vocab = out.size() / tokens.size();
  ReadStats stats{.tokens = 1};
  std::size_t prepared = 0, done = 0;
  try {
    for (; prepared < tokens.size(); ++prepared) {
      for_session(prepared, tokens.size(), [&] { tokens[prepared].session->prepare_token(tokens[prepared].id); });
    }
    // Nothing throws from here on, but for a device that fails.
    while (done < tokens.size()) {
      const auto group = tokens.subspan(done, static_cast<std::size_t>(tokens_of_step(tokens.subspan(done), at_once)));
      const auto rows = out.subspan(done * vocab, group.size() * vocab);
      if (at_once > 0) {
        decode_tokens(group, rows);
      } else {
        stats.attention_seconds += group[0].session->run_token(group[0].id, rows).attention_seconds;
      }
      done += group.size();
    }
  } catch (...) {
    for (const Token& token : tokens.subspan(done, prepared - done)) token.session->give_token_up();
    throw;
  }
  return stats;
}

void Session::Impl::prepare_token(std::int32_t id) {
  state.tokens.push_back(id);
  try {
    state.cache.reserve(1);
  } catch (...) {
    state.tokens.pop_back();
    throw;
  }
}

void Session::Impl::give_token_up() noexcept {
  state.tokens.pop_back();
  state.cache.reserve(0);
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
                    .probe_slot = state.probes.place().next_slot});
  }
  tokens[0].session->forward->decode(rows, out);
  for (const Token& token : tokens) token.session->state.probes.advance(1);
}

/// By the forward pass of a segment of one token. Selects nothing.
ReadStats Session::Impl::run_token(std::int32_t id, std::span<float> out) {
  const ProbeRings::Place place = state.probes.place();
  const Progress no_progress;
  ReadMonitor monitor(no_progress, 0);
  SegmentAttention attention({.backend = *backend,
                              .options = options,
                              .rule = rule,
                              .plan = {},
                              .state = state,
                              .memory = forward->memory(),
                              .monitor = monitor});
  state.probes.advance(1);
  try {
    forward->run(
        {.ids = std::span(&id, 1), .first_position = std::ssize(state.tokens) - 1, .num_hidden = out.empty() ? 0 : 1},
        attention);
    if (!out.empty()) forward->logits(0, 1, out);
  } catch (...) {
    state.probes.set_place(place);
    throw;
  }
  return attention.stats();
}

/// Where it is due. Their tokens are read: a budget that is too small for it leaves the tails for the next time.
void Session::Impl::thin_sessions(std::span<const Token> tokens) {
  std::vector<ThinParams> layers;
  for (const Token& token : tokens) {
    if (!token.thin) continue;
    Impl& session = *token.session;
    for (std::int32_t layer = 0; layer < session.model->config().num_layers; ++layer) {
      layers.push_back({.cache = &session.state.cache,
                        .layer = layer,
                        .shares = session.state.keep[static_cast<std::size_t>(layer)],
                        .rule = session.rule,
                        .probes = &session.state.probes});
    }
  }
  if (layers.empty()) return;
  try {
    thin_tails(*tokens[0].session->backend, layers);
  } catch (const Error& error) {
    if (error.category() != ErrorCategory::kOutOfBudget) throw;
  }
}

}  // namespace tca::runtime
