// Documents of files in the tokens of a chat form.
#include <algorithm>
#include <utility>

#include "core/check.h"
#include "evaluation/tasks.h"

namespace tca::evaluation {
namespace {

using runtime::TextStart;
using Ids = TaskPrompt::Ids;

// Text of a file at the opened answer.
Ids encode_answer(const runtime::ChatTemplate& form, std::string_view text) {
  if (text.empty()) return {};
  return form.tokenizer().encode_mixed({.bytes = text, .outside = {{0, text.size()}}, .controls = &form.controls()},
                                       TextStart::kContinues);
}

// A question's text with its choices. What is asked for is a letter, whose likelihood is then looked at.
std::string written(const TaskQuestion& question) {
  std::string all = question.text;
  if (question.choices.empty()) return all;
  all += '\n';
  for (std::size_t i = 0; i < question.choices.size(); ++i) {
    all += text('\n', static_cast<char>('A' + i), ". ", question.choices[i]);
  }
  return all += "\n\nAnswer with the letter of the right choice alone.";
}

// Models write a letter with a space in front or without: both count where they are one token.
std::vector<Ids> letters_of(const runtime::ChatTemplate& form, const TaskDocument& document,
                            const TaskQuestion& question) {
  std::vector<Ids> letters;
  for (std::size_t i = 0; i < question.choices.size(); ++i) {
    const std::string letter(1, static_cast<char>('A' + i));
    Ids spellings;
    for (const std::string& spelling : {letter, text(' ', letter)}) {
      const Ids ids = encode_answer(form, spelling);
      if (ids.size() == 1) spellings.push_back(ids[0]);
    }
    check_supported(!spellings.empty(), place_of(document), ": the tokenizer has no token for the choice ", letter,
                    ", whose likelihood would be its score");
    letters.push_back(std::move(spellings));
  }
  return letters;
}

// Of a document that is one prompt with its question.
Ids whole_prompt(const runtime::ChatTemplate& form, const std::string& text) {
  const runtime::ChatMessage message{"user", runtime::foreign_text(text)};
  return form.encode({.messages = runtime::chat_messages({&message, 1})}).ids;
}

std::int64_t most_tokens(const TaskPrompt& prompt, const runtime::ChatFrames& chat) {
  const std::int64_t turn_end = std::max(std::ssize(chat.turn_end(false)), std::ssize(chat.turn_end(true)));
  std::int64_t longest = 0, together = 0;
  for (std::size_t i = 0; i < prompt.questions.size(); ++i) {
    const std::int64_t answer = prompt.letters[i].empty() ? prompt.document.questions[i].max_tokens : 1;
    const std::int64_t turn = std::ssize(prompt.questions[i]) + answer;
    longest = std::max(longest, turn);
    together += turn + turn_end;
  }
  return std::ssize(prompt.context) + (prompt.document.order == QuestionOrder::kTurns ? together : longest);
}

}  // namespace

TaskPrompt make_task_prompt(const runtime::ChatFrames& chat, TaskDocument document) {
  TaskPrompt prompt{.document = std::move(document), .context = {}, .questions = {}, .letters = {}};
  const TaskDocument& given = prompt.document;
  const runtime::ChatTemplate& form = chat.form();
  const bool inside = given.order == QuestionOrder::kInside;
  prompt.context = inside ? whole_prompt(form, given.context) : chat.document(given.context);
  for (const TaskQuestion& question : given.questions) {
    const bool follows_answer = given.order == QuestionOrder::kTurns && !prompt.questions.empty();
    if (inside) {
      prompt.questions.push_back(encode_answer(form, given.answer_prefix));
    } else {
      const std::string asked = written(question);
      prompt.questions.push_back(follows_answer ? chat.next_question(asked) : chat.first_question(asked));
    }
    prompt.letters.push_back(letters_of(form, given, question));
  }
  prompt.most_tokens = most_tokens(prompt, chat);
  prompt.document.context = {};
  return prompt;
}

}  // namespace tca::evaluation
