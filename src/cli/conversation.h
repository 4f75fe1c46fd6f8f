// A chat over a session: which turn is open, what was sent, and how to go on after it was saved.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/loaded_model.h"
#include "runtime/engine/generate.h"
#include "runtime/tokenizer/chat_template.h"

namespace tca::cli {

class Conversation {
 public:
  /// loaded must outlive the conversation.
  Conversation(const LoadedModel& loaded, const runtime::SessionOptions& options, const std::string& chat_template);

  struct Turn {
    runtime::GenerateResult answer;
    std::string stop;  // "stop_token", "max_tokens", "context"
    std::int64_t prompt_tokens = 0;
    double first_token_seconds = 0;
  };

  /// Sent with the first turn. Call before anything is read.
  void set_system(const std::string& text);
  /// The document as a user turn of its own: read, and thinned, before any question is known.
  void read_document(std::string text);
  /// One message and its answer. Where it throws before the answer began, the conversation is as before.
  Turn say(const std::string& message, const SamplingArgs& sampling,
           const std::function<bool(const std::string&)>& on_text);

  void save(const std::string& path) const;
  /// Replaces this conversation; where it throws, nothing has changed.
  void load(const std::string& path);

  const runtime::Session& session() const { return session_; }
  const LoadedModel& loaded() const { return loaded_; }
  int num_turns() const { return state_.turns; }

 private:
  struct State {
    bool begun = false;         // something was sent
    bool answer_open = false;   // the assistant's turn was not closed yet
    bool answer_ended = false;  // its end token was generated
    int turns = 0;
  };

  std::vector<std::int32_t> next_ids(const std::string& message, bool answer) const;
  void read(const std::vector<std::int32_t>& ids, const std::string& what);

  const LoadedModel& loaded_;
  runtime::ChatTemplate template_;
  runtime::Session session_;
  std::string system_;
  State state_;
  std::span<const float> logits_;
};

}  // namespace tca::cli
