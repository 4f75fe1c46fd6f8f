// What a Session holds. Kept apart for the session file, which reads and fills it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/engine/segment_attention.h"
#include "runtime/engine/selector.h"
#include "runtime/engine/session.h"
#include "runtime/engine/session_state.h"
#include "runtime/model/forward.h"

namespace tca::runtime {

struct Session::Impl {
  Impl(std::shared_ptr<const Model> session_model, const Backend& session_backend, ThreadPool& session_pool,
       SessionOptions session_options);
  Impl(const Impl& other);  // a fork

  std::span<const float> read(std::span<const std::int32_t> ids, const ReadOptions& read_options);
  /// Session::read_batch; the logits are the first session's.
  static std::span<const float> read_batch(std::span<Impl* const> sessions, std::span<const std::int32_t> ids);

  void truncate(std::int64_t num_tokens);

  KvShape kv_shape() const;
  std::int64_t most_tokens() const;
  bool is_long(std::int64_t n) const;
  double kept_share() const;

  std::shared_ptr<const Model> model;
  const Backend* backend;
  ThreadPool* pool;
  SessionOptions options;
  std::shared_ptr<const Selector> selector;  // of the options, or of their profile; null: everything is kept
  std::unique_ptr<Forward> forward;          // before the state, part of which lies in its memory
  SessionState state;
  std::vector<float> logits;
  ReadStats last_read;
  std::optional<SessionCertificate> certificate;

 private:
  void check_read(std::span<const std::int32_t> ids, const ReadOptions& read_options) const;
  ReadPlan plan(std::int64_t n, const ReadOptions& read_options) const;
  std::optional<double> mass_tolerance() const;
  std::int64_t min_queries(std::int64_t n, const ReadOptions& read_options) const;
  std::int64_t attention_units(std::int64_t n, const ReadPlan& read_plan) const;
  void give_logits(std::int64_t rows, const ReadOptions& read_options, ReadMonitor& monitor);
  SessionState initial_state() const;
  std::shared_ptr<KvPool> kv_pool() const;

  // One new token in each of several sessions: token_step.cc
  struct Token {
    Impl* session = nullptr;
    std::int32_t id = 0;
    bool thin = false;
  };
  class Trial;
  std::span<const float> read_token(std::int32_t id, const ReadPlan& read_plan, std::int64_t num_logits);
  static void read_tokens(std::span<const Token> tokens, std::span<float> out);
  static std::int64_t tokens_of_step(std::span<const Token> tokens, std::int64_t at_once);
  static ReadStats run_tokens(std::span<const Token> tokens, std::span<float> out);
  static void decode_tokens(std::span<const Token> tokens, std::span<float> out);
  ReadStats run_token(std::int32_t id, std::span<float> out);
  static void thin_sessions(std::span<const Token> tokens);
};

}  // namespace tca::runtime
