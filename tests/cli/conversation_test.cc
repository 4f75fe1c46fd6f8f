// Conversations of lookback-28m: what the session has read is what the form makes of all messages, whatever happened.
#include "cli/conversation.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/expect_error.h"
#include "core/temporary_folder.h"

namespace tca::cli {
namespace {

using runtime::ChatMessage;
using runtime::ChatTemplate;
using runtime::foreign_text;
using testing::expect_error;
using Ids = std::vector<std::int32_t>;

constexpr std::string_view kOpening = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
// Earlier answers lose all but their first character, as thoughts are lost.
const std::string kForgetful =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content[:1] if m.role == 'assistant' else m.content }}<|im_end|>\n{% endfor %}" +
    std::string(kOpening);
// The same, and answers are opened with what they have not in the list: as thoughts are opened.
const std::string kThinking =
    kForgetful.substr(0, kForgetful.size() - std::string("{% endif %}").size()) + "Think: {% endif %}";
const std::string kStrict =
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns') }}"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
    std::string(kOpening);
// Refuses a message, and dates every conversation.
const std::string kPicky =
    "{{ strftime_now('%H:%M:%S') }}{% for m in messages %}{% if 'boom' in m.content %}{{ raise_exception('no booms') }}"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
    std::string(kOpening);

class ConversationTest : public ::testing::Test {
 protected:
  static const LoadedModel& loaded() {
    static const LoadedModel instance = load_model({.model = TCA_SOURCE_DIR "/models/lookback-28m"});
    return instance;
  }
  static runtime::SessionOptions options() {
    AttentionArgs attention;
    attention.max_context = 4096;
    return session_options(attention, loaded());
  }
  ChatFormArgs form(const std::string& source) {
    if (source.empty()) return {};
    const std::string path = folder_.file("form" + std::to_string(++num_forms_) + ".jinja");
    std::ofstream(path) << source;
    return {.file = path, .thinking = {}};
  }
  static Conversation::Turn say(Conversation& conversation, const std::string& message) {
    SamplingArgs sampling;
    sampling.max_tokens = 4;
    return conversation.say(message, sampling, {});
  }
  // What the session must have read before it answered the last of the messages.
  static Ids prompt(const ChatFormArgs& form, const std::vector<ChatMessage>& messages) {
    return ChatTemplate::load(loaded().dir, loaded().tokenizer, form.file)
        .encode({.messages = runtime::chat_messages(messages)})
        .ids;
  }
  static Ids joined(Ids prompt, const Conversation::Turn& turn) {
    prompt.insert(prompt.end(), turn.answer.ids.begin(), turn.answer.ids.end());
    if (turn.answer.stopped_by_id) prompt.push_back(2);
    return prompt;
  }
  static Ids without_answer(const Conversation& conversation, const Conversation::Turn& turn) {
    Ids ids = conversation.session().tokens();
    ids.resize(ids.size() - turn.answer.ids.size() - (turn.answer.stopped_by_id ? 1 : 0));
    return ids;
  }
  static std::string document() {
    std::string text;
    for (int i = 0; i < 15; ++i)
      text += "The number of ship " + std::to_string(i) + " is " + std::to_string(i * 37) + ".\n";
    return text;
  }

  testing::TemporaryFolder folder_;
  int num_forms_ = 0;
};

TEST_F(ConversationTest, TheSessionHasReadWhatTheFormMakesOfAllMessages) {
  for (const std::string& source : {std::string(), kForgetful, kThinking, kStrict}) {
    const ChatFormArgs args = form(source);
    Conversation conversation(loaded(), options(), args);
    std::vector<ChatMessage> messages;
    for (const char* question : {"What is the pass key?", "And now?", "Why?"}) {
      const Conversation::Turn turn = say(conversation, question);
      messages.push_back({"user", foreign_text(question)});
      EXPECT_EQ(conversation.session().tokens(), joined(prompt(args, messages), turn)) << source;
      messages.push_back({"assistant", foreign_text(turn.answer.text)});
    }
    EXPECT_EQ(conversation.num_turns(), 3);
  }
}

TEST_F(ConversationTest, OnlyWhatTheFormRewritesIsReadAgain) {
  for (const std::string& source : {kForgetful, kThinking}) {
    Conversation conversation(loaded(), options(), form(source));
    conversation.read_document(document());
    const std::int64_t document_tokens = conversation.session().num_tokens();
    ASSERT_GT(document_tokens, 150);
    const Conversation::Turn first = say(conversation, "What is the number of ship 7?");
    EXPECT_EQ(first.rewound_tokens, 0);
    for (int turn = 0; turn < 2; ++turn) {
      const Conversation::Turn next = say(conversation, "What is the number of ship 8?");
      EXPECT_GT(next.rewound_tokens, 0);
      EXPECT_LT(next.rewound_tokens, 30);
      EXPECT_LT(next.prompt_tokens, 40);
    }
  }
  Conversation plain(loaded(), options(), {});
  plain.read_document(document());
  say(plain, "What is the number of ship 7?");
  EXPECT_EQ(say(plain, "What is the number of ship 8?").rewound_tokens, 0);
}

TEST_F(ConversationTest, ADocumentIsATurnOfItsOwnOrBeginsOne) {
  const std::string question = "What is the number of ship 7?";
  Conversation apart(loaded(), options(), {});
  apart.read_document("Some text.");
  const Ids turn =
      ChatTemplate::load(loaded().dir, loaded().tokenizer)
          .encode({.messages = runtime::chat_messages(std::vector<ChatMessage>{{"user", foreign_text("Some text.\n")}}),
                   .add_generation_prompt = false})
          .ids;
  EXPECT_EQ(apart.session().tokens(), turn);
  const Conversation::Turn answer = say(apart, question);
  EXPECT_EQ(apart.session().tokens(),
            joined(prompt({}, {{"user", foreign_text("Some text.\n")}, {"user", foreign_text(question)}}), answer));

  const ChatFormArgs strict = form(kStrict);
  Conversation together(loaded(), options(), strict);
  together.set_system("Be brief.");
  EXPECT_THROW(together.read_document("Some text."), Error);  // this form has no system messages
  Conversation begun(loaded(), options(), strict);
  begun.read_document("Some text.");
  const Ids document = begun.session().tokens();
  const Conversation::Turn first = say(begun, question);
  EXPECT_EQ(first.rewound_tokens, 0);
  const std::vector<ChatMessage> one = {{"user", foreign_text("Some text.\n\n" + question)}};
  const Ids whole = prompt(strict, one);
  EXPECT_EQ(begun.session().tokens(), joined(whole, first));
  EXPECT_TRUE(loaded().tokenizer.decode(document, false).starts_with("<|im_start|>user\nSome text"));
  EXPECT_TRUE(std::equal(document.begin(), document.end(), whole.begin()));
}

TEST_F(ConversationTest, AFailingTurnChangesNothing) {
  const ChatFormArgs args = form(kPicky);
  Conversation conversation(loaded(), options(), args);
  say(conversation, "hello");
  const Ids before = conversation.session().tokens();
  expect_error(ErrorCategory::kInvalidArgument, "no booms", [&] { say(conversation, "boom"); });
  EXPECT_EQ(conversation.session().tokens(), before);
  const auto failing = [](const std::string&) -> bool { throw Error(ErrorCategory::kIo, "the terminal is gone"); };
  expect_error(ErrorCategory::kIo, "gone", [&] { conversation.say("hello again", {}, failing); });
  EXPECT_EQ(conversation.session().tokens(), before);
  EXPECT_EQ(conversation.num_turns(), 1);
  const Conversation::Turn next = say(conversation, "hello again");
  EXPECT_EQ(next.rewound_tokens, 0);  // the date of a conversation is that of its beginning
  EXPECT_EQ(conversation.num_turns(), 2);
}

TEST_F(ConversationTest, SavedAndLoadedItGoesOnAsBefore) {
  for (const std::string& source : {std::string(), kForgetful, kThinking, kStrict, kPicky}) {
    const ChatFormArgs args = form(source);
    Conversation conversation(loaded(), options(), args);
    conversation.read_document("Some text.");
    say(conversation, "What is the pass key?");
    conversation.save(folder_.file("saved"));
    Conversation loaded_again(loaded(), options(), args);
    loaded_again.load(folder_.file("saved"));
    EXPECT_EQ(loaded_again.num_turns(), 1);
    const Conversation::Turn here = say(conversation, "And now?");
    const Conversation::Turn there = say(loaded_again, "And now?");
    EXPECT_EQ(there.rewound_tokens, 0) << source;  // what the form drops was dropped when it was saved
    EXPECT_EQ(without_answer(loaded_again, there), without_answer(conversation, here)) << source;
  }
}

TEST_F(ConversationTest, ADocumentWaitsInTheFileForItsQuestion) {
  const ChatFormArgs args = form(kStrict);
  Conversation conversation(loaded(), options(), args);
  conversation.read_document("Some text.");
  conversation.save(folder_.file("saved"));
  Conversation loaded_again(loaded(), options(), args);
  loaded_again.load(folder_.file("saved"));
  const Conversation::Turn here = say(conversation, "What?");
  const Conversation::Turn there = say(loaded_again, "What?");
  EXPECT_EQ(without_answer(loaded_again, there), without_answer(conversation, here));
}

TEST_F(ConversationTest, FilesThatDoNotFitAreRefusedAndChangeNothing) {
  Conversation conversation(loaded(), options(), {});
  say(conversation, "hello");
  const Ids before = conversation.session().tokens();
  const auto refused = [&](const std::string& state, ErrorCategory category, const std::string& part) {
    conversation.session().save(folder_.file("other"), state);
    expect_error(category, part, [&] { conversation.load(folder_.file("other")); });
    EXPECT_EQ(conversation.session().tokens(), before);
  };
  refused(R"({"format": "tca-chat/1"})", ErrorCategory::kBadFile, "tca-chat/1 (an older version");
  refused(R"({"format": "tca-chat/9"})", ErrorCategory::kBadFile, "tca-chat/9 (another version)");
  refused(R"({"format": "tca-chat/2", "template_sha256": "0"})", ErrorCategory::kInvalidArgument,
          "another chat template");
  const std::string sha = ChatTemplate::load(loaded().dir, loaded().tokenizer).sha256();
  const auto with = [&](const std::string& messages) {
    return R"({"format": "tca-chat/2", "begin": 0, "turns": 1, "document": null, "template_sha256": ")" + sha +
           R"(", "messages": )" + messages + "}";
  };
  refused(with("7"), ErrorCategory::kBadFile, "messages is 7");
  refused(with("[7]"), ErrorCategory::kBadFile, "messages[...] is 7");
  refused(with(R"([{"role": "user", "content": {"text": "é", "form": [[0, 1]]}}])"), ErrorCategory::kBadFile, "form");
  refused(with(R"([{"role": "user", "content": {"text": "ab", "form": [[0, 9]]}}])"), ErrorCategory::kBadFile, "form");
}

}  // namespace
}  // namespace tca::cli
