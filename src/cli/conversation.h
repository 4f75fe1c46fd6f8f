// A chat over a session. The whole list of messages is rendered at every turn, and what follows the longest prefix that
// was read already is read. Where the form rewrites what was read (it drops the thoughts of an earlier answer, say),
// the chat goes back to a fork that was taken before.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/loaded_model.h"
#include "runtime/chat/chat_template.h"
#include "runtime/engine/generate.h"

namespace tca::cli {

class Conversation {
 public:
  /// loaded must outlive the conversation.
  Conversation(const LoadedModel& loaded, const runtime::SessionOptions& options, const ChatFormArgs& form);

  struct Turn {
    runtime::GenerateResult answer;
    std::string stop;                 // "stop_token", "max_tokens", "context"
    std::int64_t prompt_tokens = 0;   // read for this turn
    std::int64_t rewound_tokens = 0;  // of earlier turns, left behind because the form wrote them differently now
    double first_token_seconds = 0;
  };

  /// Sent with the first turn. Call before anything is read.
  void set_system(const std::string& text);
  /// The document as a user turn of its own, or as the beginning of one where the form demands that user and assistant
  /// take turns: read, and thinned, before any question is known.
  void read_document(std::string text);
  /// One message and its answer. Where it throws, the conversation is as before.
  Turn say(const std::string& message, const SamplingArgs& sampling,
           const std::function<bool(const std::string&)>& on_text);

  /// Saves it as the next turn will find it: what the form will rewrite is rewritten.
  void save(const std::string& path) const;
  /// Replaces this conversation; where it throws, nothing has changed.
  void load(const std::string& path);

  const runtime::Session& session() const { return session_; }
  const LoadedModel& loaded() const { return loaded_; }
  int num_turns() const { return state_.turns; }

 private:
  using Ids = std::vector<std::int32_t>;
  using Messages = std::vector<runtime::ChatMessage>;
  struct State {
    Messages messages;
    std::optional<runtime::jinja::Text> document;  // the beginning of the user's next message
    // Today, in every rendering: whole seconds, which is what a file keeps.
    std::chrono::system_clock::time_point begin =
        std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    int turns = 0;
  };
  // A fork of the longest past that ids begins with, and its length.
  struct Past {
    runtime::Session session;
    std::int64_t tokens;
  };

  Ids encode(const Messages& messages, bool add_generation_prompt) const;
  Messages with_user(const State& state, const runtime::jinja::Text& text) const;
  Ids common_prefix(const State& state, std::initializer_list<std::string_view> next_messages) const;
  std::int64_t stable_tokens(Messages messages, const Ids& ids) const;
  Past past_of(const Ids& ids) const;
  struct OpenAnswer;
  OpenAnswer open_answer(const Messages& messages, const Ids& ids) const;
  runtime::Session settled() const;
  State state_from_json(const std::string& text, const std::string& path) const;
  std::string state_json() const;

  const LoadedModel& loaded_;
  ChatFormArgs form_;
  runtime::ChatTemplate template_;
  runtime::Session session_;
  // Pages are shared, so a fork costs what the session changes after it: the pages of a window for each head.
  std::optional<runtime::Session> after_document_;
  std::optional<runtime::Session> before_answer_;
  State state_;
};

}  // namespace tca::cli
