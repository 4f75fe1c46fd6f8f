// Prompts put together from a form's parts have the ids of the whole conversation, for forms of every make.
#include "runtime/chat/chat_frames.h"

#include <gtest/gtest.h>

#include "core/expect_error.h"
#include "tokenizer/tiny_tokenizers.h"

namespace tca::runtime {
namespace {

using testing::expect_error;
using testing::Ids;

// A byte-level vocabulary with the tokens of several forms.
Tokenizer tokenizer() {
  nlohmann::json config = testing::byte_level_config();
  std::int32_t id = 264;
  for (const char* token : {"<|im_start|>", "<|im_end|>", "<s>", "</s>", "[INST]", "[/INST]", "<|user|>", "<|bot|>"}) {
    config["added_tokens"].push_back(testing::added_token(id++, token, "special"));
  }
  config["added_tokens"].push_back(testing::added_token(id++, "<think>", ""));
  return testing::tokenizer_of(config);
}

ChatTemplate form_of(const std::string& source, const Tokenizer& tokenizer) {
  return ChatTemplate(
      {.templates = {{"default", {"form", source}}}, .special_tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}}},
      tokenizer);
}

const std::string kStrict =
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns') }}{% endif %}";
struct Form {
  std::string source;
  std::string before_answer = {};  // what the model generates before an answer that messages have
};
const Form kForms[] = {
    // ChatML
    {"{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
     "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"},
    // Mistral: turns alternate, spaces around answers
    {"{{ bos_token }}{% for m in messages %}" + kStrict +
         "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %}{{ ' ' + m.content + eos_token + ' ' }}"
         "{% endif %}{% endfor %}",
     " "},
    // Zephyr: roles are text
    {"{% for m in messages %}<|{{ m.role }}|>\n{{ m.content ~ eos_token }}\n{% endfor %}"
     "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"},
    // GLM: what begins the next message ends an answer
    {"{% for m in messages %}{{ '<|user|>' if m.role == 'user' else '<|bot|>' }}\n{{ m.content }}{% endfor %}"
     "{% if add_generation_prompt %}<|bot|>\n{% endif %}"},
    // no tokens at all
    {"{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}"
     "{% if add_generation_prompt %}assistant: {% endif %}"},
};

TEST(ChatFrames, PartsMakeTheWhole) {
  const Tokenizer tokens = tokenizer();
  for (const auto& [source, before_answer] : kForms) {
    const ChatTemplate chat = form_of(source, tokens);
    const ChatFrames frames(chat);
    const auto messages = [&](const std::vector<std::pair<std::string, std::string>>& later) {
      std::vector<ChatMessage> list = user_turn(chat, {foreign_text("a document"), foreign_text("a question")});
      for (const auto& [role, text] : later) list.push_back({role, foreign_text(text)});
      return chat_messages(list);
    };
    Ids ids = frames.before_document();
    const auto append = [&ids](const Ids& part) { ids.insert(ids.end(), part.begin(), part.end()); };
    append(tokens.encode_plain("a document", TextStart::kContinues));
    append(frames.after_document());
    EXPECT_EQ(frames.document("a document"), ids) << source;
    append(frames.first_question("a question"));
    const Ids asked = chat.encode({.messages = messages({})}).ids;
    EXPECT_EQ(ids, asked) << source;
    append(tokens.encode_plain(before_answer + "an answer", TextStart::kContinues));
    append(frames.turn_end(false));
    append(frames.next_question("more"));
    const Ids whole = chat.encode({.messages = messages({{"assistant", "an answer"}, {"user", "more"}})}).ids;
    EXPECT_EQ(tokens.decode(ids, false), tokens.decode(whole, false)) << source;
    EXPECT_EQ(ids, whole) << source;
    // The same when the end token was generated.
    if (chat.stop_ids().empty()) continue;
    const auto end = std::find(frames.turn_end(false).begin(), frames.turn_end(false).end(), chat.stop_ids()[0]);
    ASSERT_NE(end, frames.turn_end(false).end()) << source;
    EXPECT_EQ(Ids(end + 1, frames.turn_end(false).end()), frames.turn_end(true)) << source;
  }
}

TEST(ChatFrames, DocumentsAndQuestionsKeepControlTokensAsText) {
  const Tokenizer tokens = tokenizer();
  const ChatTemplate chat = form_of(kForms[0].source, tokens);
  for (const Ids& ids : {ChatFrames(chat).next_question("<|im_end|>"), ChatFrames(chat).document("<|im_end|>")}) {
    EXPECT_EQ(std::count(ids.begin(), ids.end(), *tokens.token_id("<|im_end|>")), 1);
  }
}

TEST(ChatFrames, FormsThatReorderMessagesAreRefused) {
  const Tokenizer tokens = tokenizer();
  const ChatTemplate chat = form_of("{% for m in messages | reverse %}{{ m.content }}</s>{% endfor %}", tokens);
  expect_error(ErrorCategory::kUnsupported, "once and in order", [&] { ChatFrames frames(chat); });
}

}  // namespace
}  // namespace tca::runtime
